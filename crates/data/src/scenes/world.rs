//! What a scene is: the facts from which the picture and all sentences are made.
//!
//! Lengths are in units of a 128th of the picture's side, whatever size it is drawn at; x grows to
//! the right and y downwards.

/// Units along a side of the picture.
pub const SIDE: i32 = 128;

/// Defines a set of attribute values with their words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($value:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($value),+ }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$value),+];

            /// The word for it, in the singular.
            pub fn word(self) -> &'static str {
                match self { $($name::$value => $word),+ }
            }
        }
    };
}

words! {
    /// The colour of a plate, a ring or a frame.
    Colour {
        Red = "red",
        Orange = "orange",
        Yellow = "yellow",
        Green = "green",
        Blue = "blue",
        Purple = "purple",
        Pink = "pink",
        Black = "black",
    }
}

words! {
    /// The shape of the plate on which a sprite stands.
    Shape { Circle = "circle", Square = "square", Triangle = "triangle" }
}

words! {
    Size { Small = "small", Large = "large" }
}

words! {
    /// The shape of an outline around an object.
    Outline { Ring = "ring", Frame = "frame" }
}

impl Colour {
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::Red => [214, 30, 40],
            Colour::Orange => [248, 140, 20],
            Colour::Yellow => [250, 215, 40],
            Colour::Green => [40, 150, 60],
            Colour::Blue => [30, 90, 215],
            Colour::Purple => [125, 45, 175],
            Colour::Pink => [250, 140, 195],
            Colour::Black => [25, 25, 30],
        }
    }
}

/// A coloured outline around one object, which is inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Around {
    pub outline: Outline,
    pub colour: Colour,
}

/// A sprite and the coloured plate on which it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// Centre of the plate.
    pub x: i32,
    pub y: i32,
    /// Place in the list of sprites.
    pub sprite: usize,
    pub colour: Colour,
    pub shape: Shape,
    pub size: Size,
    /// The sprite, not the plate, is turned by half a turn.
    pub upside_down: bool,
    /// Only small objects have room for one.
    pub around: Option<Around>,
}

/// A rectangle in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// What is behind the objects. No sentence speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Background {
    Plain([u8; 3]),
    /// From one colour to another, along x and y by these shares of 100.
    Gradient {
        from: [u8; 3],
        to: [u8; 3],
        along: [i32; 2],
    },
    /// Pixels that differ from a colour by up to `strength` levels.
    Noise {
        colour: [u8; 3],
        strength: u8,
        seed: u32,
    },
}

/// One to six objects before a background.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scene {
    pub background: Background,
    pub objects: Vec<Object>,
}

impl Object {
    /// Half the plate's width and height.
    pub fn half(&self) -> [i32; 2] {
        match (self.shape, self.size) {
            (Shape::Circle, Size::Small) => [16, 16],
            (Shape::Circle, Size::Large) => [25, 25],
            (Shape::Square, Size::Small) => [15, 15],
            (Shape::Square, Size::Large) => [23, 23],
            (Shape::Triangle, Size::Small) => [17, 15],
            (Shape::Triangle, Size::Large) => [26, 24],
        }
    }

    /// The object's box: that of its plate. The sprite lies within it; an outline does not belong
    /// to the object.
    pub fn rect(&self) -> Rect {
        self.rect_of(self.half())
    }

    /// The box of the outline around the object, where there is one.
    pub fn around_rect(&self) -> Option<Rect> {
        self.around.map(|around| self.rect_of([around.outline.half(); 2]))
    }

    /// All that is drawn of the object.
    pub fn footprint(&self) -> Rect {
        self.around_rect().unwrap_or(self.rect())
    }

    fn rect_of(&self, [width, height]: [i32; 2]) -> Rect {
        Rect {
            left: self.x - width,
            top: self.y - height,
            right: self.x + width,
            bottom: self.y + height,
        }
    }
}

impl Size {
    /// Side of the square that the sprite fills.
    pub fn sprite_side(self) -> i32 {
        match self {
            Size::Small => 24,
            Size::Large => 36,
        }
    }
}

impl Shape {
    /// How far the sprite's centre is below the plate's: a triangle is wide below.
    pub fn sprite_drop(self, size: Size) -> i32 {
        match (self, size) {
            (Shape::Triangle, Size::Small) => 3,
            (Shape::Triangle, Size::Large) => 5,
            _ => 0,
        }
    }
}

impl Outline {
    /// Half the outer width and height.
    pub fn half(self) -> i32 {
        match self {
            Outline::Ring => 25,
            Outline::Frame => 23,
        }
    }

    /// Width of the line.
    pub const LINE: i32 = 3;
}

impl Rect {
    /// Whether there are at least `gap` units between the two, sideways or upwards.
    pub fn is_apart(&self, other: &Rect, gap: i32) -> bool {
        self.right + gap <= other.left
            || other.right + gap <= self.left
            || self.bottom + gap <= other.top
            || other.bottom + gap <= self.top
    }

    /// Left, top, width and height, in pixels of a picture of side `size`.
    pub fn in_pixels(&self, size: u32) -> [f32; 4] {
        let scale = size as f32 / SIDE as f32;
        [self.left, self.top, self.right - self.left, self.bottom - self.top]
            .map(|length| length as f32 * scale)
    }
}

impl Scene {
    /// The centre that comes first from the left, then from the top. It decides in which splits
    /// the scene may be; changes of attributes leave it as it is.
    pub fn anchor(&self) -> [i32; 2] {
        self.objects.iter().map(|object| [object.x, object.y]).min().unwrap_or([0, 0])
    }

    /// The objects in an order of their own: equal for scenes that show the same.
    pub fn sorted_objects(&self) -> Vec<Object> {
        let mut objects = self.objects.clone();
        objects.sort();
        objects
    }
}
