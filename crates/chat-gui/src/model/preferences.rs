//! What a person has chosen about the window. Kept on this device, not by the servers.

use serde::{Deserialize, Serialize};

/// The window's colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// As the desktop has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// When a notification is raised for a new message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationChoice {
    /// Never.
    Off,
    /// With the sender's name and no text.
    #[default]
    WithoutText,
    /// With the beginning of the text.
    WithText,
}

/// How many received messages are kept on this device, the newest ones. The servers have all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptMessages {
    /// None: they are read from the servers each time.
    None,
    /// A thousand.
    Thousand,
    /// Ten thousand.
    TenThousand,
    /// A hundred thousand.
    #[default]
    HundredThousand,
}

/// The size of all text, in percent of the normal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u16")]
pub struct TextSize(u16);

/// What a person has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Colours.
    pub theme: ThemeChoice,
    /// Size of text.
    pub text_size: TextSize,
    /// Notifications.
    pub notifications: NotificationChoice,
    /// Received messages on this device.
    pub kept_messages: KeptMessages,
    /// The size that the window had when it was closed last.
    pub window: Option<WindowSize>,
}

/// The size of the window's contents, in points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// From left to right.
    pub width: u16,
    /// From top to bottom.
    pub height: u16,
}

impl KeptMessages {
    /// How many that are.
    pub fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::Thousand => 1_000,
            Self::TenThousand => 10_000,
            Self::HundredThousand => 100_000,
        }
    }
}

impl TextSize {
    /// The smallest.
    pub const MIN: Self = Self(80);
    /// The largest.
    pub const MAX: Self = Self(200);
    /// From one size to the next, in percent.
    const STEP: u16 = 10;

    /// The nearest allowed size.
    pub fn new(percent: u16) -> Self {
        Self(percent.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// In percent of the normal size.
    pub fn percent(self) -> u16 {
        self.0
    }

    /// As a factor.
    pub fn factor(self) -> f32 {
        f32::from(self.0) / 100.0
    }

    /// One step larger, if there is one.
    #[must_use]
    pub fn larger(self) -> Self {
        Self::new(self.0 + Self::STEP)
    }

    /// One step smaller, if there is one.
    #[must_use]
    pub fn smaller(self) -> Self {
        Self::new(self.0 - Self::STEP)
    }
}

impl Default for TextSize {
    fn default() -> Self {
        Self(100)
    }
}

impl From<u16> for TextSize {
    fn from(percent: u16) -> Self {
        Self::new(percent)
    }
}
