//! A scene to pixels.

use std::fmt;
use std::sync::Arc;

use image::imageops::FilterType;
use image::{RgbImage, Rgba, RgbaImage};
use rayon::prelude::*;

use super::sprites::Sprite;
use super::world::{Background, Object, Outline, SIDE, Scene, Shape, Size};

/// Share of full cover of the white line around sprites, which keeps a black sprite apart from a
/// black plate.
const HALO: f32 = 0.9;

/// The sprites as they are drawn: resized once.
pub struct Stage {
    /// Side of the pictures, in pixels.
    pub size: u32,
    /// Of each sprite the small and the large one, square, colours multiplied by alpha.
    cuts: Vec<[RgbaImage; 2]>,
}

/// A scene that is drawn whenever its picture is asked for.
#[derive(Clone)]
pub struct Drawn {
    stage: Arc<Stage>,
    scene: Arc<Scene>,
}

impl Drawn {
    pub fn new(stage: Arc<Stage>, scene: Scene) -> Self {
        Drawn { stage, scene: Arc::new(scene) }
    }

    /// Whether both show the same scene.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stage, &other.stage) && self.scene == other.scene
    }

    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Side of the picture, in pixels.
    pub fn size(&self) -> u32 {
        self.stage.size
    }

    /// The picture, in `memory` that another one had.
    pub fn draw(&self, memory: Vec<u8>) -> RgbImage {
        self.stage.draw(&self.scene, memory)
    }
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drawn({} px, {:?})", self.stage.size, self.scene)
    }
}

impl Stage {
    /// Resizes the sprites for pictures of `size` pixels.
    pub fn new(sprites: &[Sprite], size: u32) -> Self {
        let halo = (size / SIDE as u32).max(1);
        let cut = |sprite: &Sprite, of: Size| {
            let side = (of.sprite_side() as u32 * size + SIDE as u32 / 2) / SIDE as u32;
            cut_out(&sprite.picture, side.max(2 * halo + 1), halo)
        };
        let cuts = sprites
            .par_iter()
            .map(|sprite| [cut(sprite, Size::Small), cut(sprite, Size::Large)])
            .collect();
        Stage { size, cuts }
    }

    /// Draws the scene, in `memory` that another picture had.
    pub fn draw(&self, scene: &Scene, mut memory: Vec<u8>) -> RgbImage {
        let side = self.size as usize;
        memory.clear();
        memory.resize(side * side * 3, 0);
        fill(&scene.background, side, &mut memory);
        let mut picture = RgbImage::from_raw(self.size, self.size, memory)
            .expect("the memory was given the picture's size");
        for object in &scene.objects {
            self.draw_plate(object, &mut picture);
            self.draw_sprite(object, &mut picture);
        }
        picture
    }

    fn scale(&self) -> f32 {
        self.size as f32 / SIDE as f32
    }

    fn draw_plate(&self, object: &Object, picture: &mut RgbImage) {
        let [width, height] = object.half().map(|half| half as f32 * self.scale());
        let slope = width.hypot(2.0 * height);
        let (shape, colour) = (object.shape, object.colour.rgb());
        // How far inside the shape's edge a point is.
        let depth = |x: f32, y: f32| match shape {
            Shape::Circle => width - x.hypot(y),
            Shape::Square => (width - x.abs()).min(height - y.abs()),
            Shape::Triangle => {
                let side = (width * (y + height) - 2.0 * height * x.abs()) / slope;
                side.min(height - y.abs()).min(width - x.abs())
            }
        };
        self.cover(object, [width, height], colour, depth, picture);
        let Some(around) = object.around else { return };
        let (half, line) =
            (around.outline.half() as f32 * self.scale(), Outline::LINE as f32 * self.scale());
        let depth = |x: f32, y: f32| {
            let outer = match around.outline {
                Outline::Ring => half - x.hypot(y),
                Outline::Frame => half - x.abs().max(y.abs()),
            };
            outer.min(line - outer)
        };
        self.cover(object, [half, half], around.colour.rgb(), depth, picture);
    }

    /// Paints `colour` where `depth` is positive, softly at the edge. `depth` takes pixels from the
    /// object's centre and is negative further off than `half`.
    fn cover(
        &self,
        object: &Object,
        half: [f32; 2],
        colour: [u8; 3],
        depth: impl Fn(f32, f32) -> f32,
        picture: &mut RgbImage,
    ) {
        let centre = [object.x, object.y].map(|at| at as f32 * self.scale());
        let bound = |at: f32| at.clamp(0.0, self.size as f32) as u32;
        let (left, right) = (bound(centre[0] - half[0]), bound((centre[0] + half[0]).ceil()));
        let (top, bottom) = (bound(centre[1] - half[1]), bound((centre[1] + half[1]).ceil()));
        for y in top..bottom {
            for x in left..right {
                let (dx, dy) = (x as f32 + 0.5 - centre[0], y as f32 + 0.5 - centre[1]);
                let alpha = ((depth(dx, dy) + 0.5).clamp(0.0, 1.0) * 255.0) as u8;
                if alpha > 0 {
                    let [r, g, b] = colour.map(|level| scaled(level, alpha));
                    blend(picture, x, y, [r, g, b, alpha]);
                }
            }
        }
    }

    fn draw_sprite(&self, object: &Object, picture: &mut RgbImage) {
        let cut = &self.cuts[object.sprite][object.size as usize];
        let side = cut.width();
        let drop = object.shape.sprite_drop(object.size);
        let start =
            |at: i32| (at as f32 * self.scale() - side as f32 / 2.0).round().max(0.0) as u32;
        let (left, top) = (start(object.x), start(object.y + drop));
        for (x, y, pixel) in cut.enumerate_pixels() {
            let (x, y) = if object.upside_down { (side - 1 - x, side - 1 - y) } else { (x, y) };
            let (x, y) = (left + x, top + y);
            if pixel[3] > 0 && x < self.size && y < self.size {
                blend(picture, x, y, pixel.0);
            }
        }
    }
}

/// Lays a colour that is multiplied by its alpha over a pixel.
fn blend(picture: &mut RgbImage, x: u32, y: u32, [r, g, b, alpha]: [u8; 4]) {
    let under = picture.get_pixel_mut(x, y);
    for (level, over) in under.0.iter_mut().zip([r, g, b]) {
        *level = over.saturating_add(scaled(*level, 255 - alpha));
    }
}

/// `level * alpha / 255`, rounded.
fn scaled(level: u8, alpha: u8) -> u8 {
    ((u32::from(level) * u32::from(alpha) + 127) / 255) as u8
}

/// The picture fitted into a square of `side` pixels with a white line of `halo` around it, its
/// colours multiplied by alpha.
fn cut_out(picture: &RgbaImage, side: u32, halo: u32) -> RgbaImage {
    let mut multiplied = picture.clone();
    for Rgba([r, g, b, alpha]) in multiplied.pixels_mut() {
        [*r, *g, *b] = [*r, *g, *b].map(|level| scaled(level, *alpha));
    }
    let room = side - 2 * halo;
    let longest = multiplied.width().max(multiplied.height());
    let fit = |length: u32| (length * room).div_ceil(longest).max(1);
    let (width, height) = (fit(multiplied.width()), fit(multiplied.height()));
    let small = image::imageops::resize(&multiplied, width, height, FilterType::CatmullRom);
    let mut cut = RgbaImage::new(side, side);
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    for (x, y, pixel) in small.enumerate_pixels() {
        // The filter overshoots: no colour may be more than its alpha.
        let [r, g, b, alpha] = pixel.0;
        let pixel = Rgba([r.min(alpha), g.min(alpha), b.min(alpha), alpha]);
        cut.put_pixel(left + x, top + y, pixel);
    }
    with_halo(&cut, halo)
}

fn with_halo(cut: &RgbaImage, halo: u32) -> RgbaImage {
    let mut result = cut.clone();
    for (x, y, pixel) in result.enumerate_pixels_mut() {
        let mut around = 0;
        for v in y.saturating_sub(halo)..=(y + halo).min(cut.height() - 1) {
            for u in x.saturating_sub(halo)..=(x + halo).min(cut.width() - 1) {
                around = around.max(cut.get_pixel(u, v)[3]);
            }
        }
        let white = (f32::from(around) * HALO) as u8;
        let Rgba([.., alpha]) = *pixel;
        for level in pixel.0.iter_mut() {
            *level = level.saturating_add(scaled(white, 255 - alpha));
        }
    }
    result
}

/// Fills the picture, of `side` pixels, with the background.
fn fill(background: &Background, side: usize, pixels: &mut [u8]) {
    match *background {
        Background::Plain(colour) => {
            pixels.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour));
        }
        Background::Gradient { from, to, along: [across, down] } => {
            let steps = 100 * side as i32;
            for (y, row) in pixels.chunks_exact_mut(3 * side).enumerate() {
                for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                    let way = across * x as i32 + down * y as i32;
                    for channel in 0..3 {
                        let (from, to) = (i32::from(from[channel]), i32::from(to[channel]));
                        pixel[channel] = (from + (to - from) * way / steps) as u8;
                    }
                }
            }
        }
        Background::Noise { colour, strength, seed } => {
            let levels = 2 * u32::from(strength) + 1;
            for (at, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                let noise = hashed(at as u32 ^ seed);
                for channel in 0..3 {
                    let byte = (noise >> (8 * channel)) & 255;
                    let offset = (byte * levels / 256) as i32 - i32::from(strength);
                    pixel[channel] = (i32::from(colour[channel]) + offset).clamp(0, 255) as u8;
                }
            }
        }
    }
}

/// A 32-bit mixing function (Wellons, "lowbias32").
fn hashed(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
