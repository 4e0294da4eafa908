//! Which captions belong to which picture.

use crate::EvalError;

/// The right answers of a retrieval set: every picture has one or more captions, every caption has
/// exactly one picture.
///
/// Only this ownership counts. If two pictures have captions with the same words, each is wrong for
/// the other picture; as their scores are equal, neither is then found (see [`crate::retrieval`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    texts_of_image: Vec<Vec<usize>>,
    image_of_text: Vec<usize>,
}

impl Truth {
    /// From the caption indices of each picture. Captions are numbered from 0 without gaps, in any
    /// order.
    ///
    /// # Errors
    /// No pictures, a picture without captions, a caption with two owners, or an index past the
    /// number of captions.
    pub fn new(texts_of_image: Vec<Vec<usize>>) -> Result<Self, EvalError> {
        if texts_of_image.is_empty() {
            return Err(EvalError::NoImages);
        }
        let texts = texts_of_image.iter().map(Vec::len).sum();
        let mut owner = vec![None; texts];
        for (image, captions) in texts_of_image.iter().enumerate() {
            if captions.is_empty() {
                return Err(EvalError::NoCaption { image });
            }
            for &text in captions {
                match owner.get_mut(text) {
                    None => return Err(EvalError::CaptionOutOfRange { image, text, texts }),
                    Some(Some(first)) => {
                        let first = *first;
                        return Err(EvalError::CaptionTwice { text, first, second: image });
                    }
                    Some(free) => *free = Some(image),
                }
            }
        }
        // `texts` indices, all in range and all different: every caption has its owner.
        let image_of_text = owner.into_iter().flatten().collect();
        Ok(Self { texts_of_image, image_of_text })
    }

    /// From the number of captions of each picture, where captions are stored picture by picture:
    /// `[2, 1]` gives picture 0 the captions 0 and 1, picture 1 the caption 2.
    ///
    /// # Errors
    /// No pictures, or a picture without captions.
    pub fn from_counts(captions: &[usize]) -> Result<Self, EvalError> {
        let mut next = 0;
        let texts_of_image = captions
            .iter()
            .map(|&count| {
                let first = next;
                next += count;
                (first..next).collect()
            })
            .collect();
        Self::new(texts_of_image)
    }

    /// Number of pictures.
    pub fn images(&self) -> usize {
        self.texts_of_image.len()
    }

    /// Number of captions, of all pictures together.
    pub fn texts(&self) -> usize {
        self.image_of_text.len()
    }

    /// The captions of a picture. Panics if `image >= self.images()`, as indexing does.
    pub fn texts_of(&self, image: usize) -> &[usize] {
        &self.texts_of_image[image]
    }

    /// The picture of a caption. Panics if `text >= self.texts()`, as indexing does.
    pub fn image_of(&self, text: usize) -> usize {
        self.image_of_text[text]
    }
}
