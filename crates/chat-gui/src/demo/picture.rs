//! A picture of the window as a PNG file.
//!
//! Deliberately absent: taking it, which the toolkit does.

use egui::ColorImage;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Writes the picture; returns whether it succeeded.
pub(super) fn save(image: &ColorImage, path: &Path) -> bool {
    match write(image, path) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "the picture cannot be written");
            false
        }
    }
}

fn write(image: &ColorImage, path: &Path) -> Result<(), png::EncodingError> {
    let [width, height] = image.size;
    let mut encoder = png::Encoder::new(
        BufWriter::new(File::create(path)?),
        u32::try_from(width).unwrap_or(u32::MAX),
        u32::try_from(height).unwrap_or(u32::MAX),
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    let pixels: Vec<u8> = image
        .pixels
        .iter()
        .flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()])
        .collect();
    writer.write_image_data(&pixels)?;
    writer.finish()
}
