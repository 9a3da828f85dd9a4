//! Small pictures, painted with lines so that they are sharp at every size and need no font.
//!
//! Deliberately absent: names for screen readers. A caller that shows an icon without text beside
//! it names the control that it is on.

use egui::{
    Color32, Painter, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, Vec2, epaint::PathStroke,
};

/// What is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// A speech bubble.
    Chat,
    /// A pin.
    Pin,
    /// Two heads.
    People,
    /// Three nodes that know each other.
    Cluster,
    /// Sliders.
    Settings,
    /// A keyboard.
    Keyboard,
    /// A paper plane.
    Send,
    /// A magnifying glass.
    Search,
    /// A clock.
    Clock,
    /// A tick.
    Check,
    /// Two ticks.
    Checks,
    /// A triangle with an exclamation mark.
    Warning,
    /// A cross.
    Close,
    /// A plus.
    Plus,
    /// An arrow down to a line.
    Newest,
    /// A dustbin.
    Trash,
    /// Two sheets.
    Copy,
    /// A circle that is an arrow.
    Refresh,
    /// A bell.
    Bell,
    /// A bell, struck out.
    BellOff,
    /// An eye.
    Eye,
    /// An eye, struck out.
    EyeOff,
    /// Three dots.
    More,
    /// Up.
    ChevronUp,
    /// Down.
    ChevronDown,
    /// A circle that is filled when chosen.
    Unchosen,
    /// A filled circle with a tick.
    Chosen,
    /// A letter i in a circle.
    Details,
    /// An arrow back.
    Back,
}

impl Icon {
    /// Paints it into the middle of `rect`, `size` points wide and high.
    pub fn paint(self, painter: &Painter, rect: Rect, size: f32, colour: Color32) {
        let square = Rect::from_center_size(rect.center(), Vec2::splat(size));
        let pen = Pen {
            painter,
            square,
            stroke: Stroke::new((size / 12.0).max(1.2), colour),
        };
        pen.draw(self);
    }

    /// Shows it in a row of other things, without reacting to anything.
    pub fn show(self, ui: &mut Ui, size: f32, colour: Color32) -> Response {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::hover());
        self.paint(ui.painter(), rect, size, colour);
        response
    }
}

/// Draws on a square of 20 by 20 units.
struct Pen<'a> {
    painter: &'a Painter,
    square: Rect,
    stroke: Stroke,
}

impl Pen<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.square.min + Vec2::new(x, y) * (self.square.width() / 20.0)
    }

    fn length(&self, units: f32) -> f32 {
        units * self.square.width() / 20.0
    }

    fn line(&self, points: &[(f32, f32)]) {
        let points = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.painter.add(Shape::line(points, self.stroke));
    }

    fn closed(&self, points: &[(f32, f32)]) {
        let points = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.painter
            .add(Shape::closed_line(points, PathStroke::from(self.stroke)));
    }

    fn circle(&self, x: f32, y: f32, r: f32) {
        self.painter
            .circle_stroke(self.at(x, y), self.length(r), self.stroke);
    }

    fn dot(&self, x: f32, y: f32, r: f32) {
        self.painter
            .circle_filled(self.at(x, y), self.length(r), self.stroke.color);
    }

    /// Part of a circle, in degrees clockwise from the right.
    fn arc(&self, x: f32, y: f32, r: f32, from: f32, to: f32) {
        let points: Vec<(f32, f32)> = (0..=16_u8)
            .map(|step| {
                let turn = (from + (to - from) * f32::from(step) / 16.0).to_radians();
                (x + r * turn.cos(), y + r * turn.sin())
            })
            .collect();
        self.line(&points);
    }

    fn round_rect(&self, from: (f32, f32), to: (f32, f32), corner: f32) {
        let rect = Rect::from_min_max(self.at(from.0, from.1), self.at(to.0, to.1));
        self.painter.rect_stroke(
            rect,
            self.length(corner),
            self.stroke,
            egui::StrokeKind::Middle,
        );
    }

    fn draw(&self, icon: Icon) {
        match icon {
            Icon::Chat => self.chat(),
            Icon::Pin => self.pin(),
            Icon::People => self.people(),
            Icon::Cluster => self.cluster(),
            Icon::Settings => self.settings(),
            Icon::Keyboard => self.keyboard(),
            Icon::Send => self.send(),
            Icon::Search => {
                self.circle(8.5, 8.5, 5.5);
                self.line(&[(12.7, 12.7), (17.0, 17.0)]);
            }
            Icon::Clock => {
                self.circle(10.0, 10.0, 7.5);
                self.line(&[(10.0, 5.5), (10.0, 10.0), (13.0, 12.0)]);
            }
            Icon::Check => self.line(&[(4.0, 10.5), (8.2, 14.8), (16.0, 5.5)]),
            Icon::Checks => {
                self.line(&[(1.0, 10.5), (5.2, 14.8), (13.0, 5.5)]);
                self.line(&[(9.4, 13.6), (10.6, 14.8), (18.4, 5.5)]);
            }
            Icon::Warning => self.warning(),
            Icon::Close => {
                self.line(&[(5.0, 5.0), (15.0, 15.0)]);
                self.line(&[(15.0, 5.0), (5.0, 15.0)]);
            }
            Icon::Plus => {
                self.line(&[(10.0, 4.0), (10.0, 16.0)]);
                self.line(&[(4.0, 10.0), (16.0, 10.0)]);
            }
            Icon::Newest => self.newest(),
            Icon::Trash => self.trash(),
            Icon::Copy => {
                self.round_rect((7.0, 7.0), (16.5, 16.5), 2.0);
                self.line(&[(13.0, 3.5), (3.5, 3.5), (3.5, 13.0)]);
            }
            Icon::Refresh => {
                self.arc(10.0, 10.0, 6.5, -40.0, 250.0);
                self.line(&[(15.5, 2.6), (15.2, 6.2), (11.7, 5.8)]);
            }
            Icon::Bell => self.bell(),
            Icon::BellOff => {
                self.bell();
                self.line(&[(3.0, 17.0), (17.0, 3.0)]);
            }
            Icon::Eye => self.eye(),
            Icon::EyeOff => {
                self.eye();
                self.line(&[(4.0, 16.5), (16.0, 3.5)]);
            }
            Icon::More => {
                for y in [4.5, 10.0, 15.5] {
                    self.dot(10.0, y, 1.5);
                }
            }
            Icon::ChevronUp => self.line(&[(5.0, 12.5), (10.0, 7.5), (15.0, 12.5)]),
            Icon::ChevronDown => self.line(&[(5.0, 7.5), (10.0, 12.5), (15.0, 7.5)]),
            Icon::Unchosen => self.circle(10.0, 10.0, 8.0),
            Icon::Chosen => self.chosen(),
            Icon::Details => {
                self.circle(10.0, 10.0, 7.5);
                self.dot(10.0, 6.5, 1.1);
                self.line(&[(10.0, 9.5), (10.0, 14.0)]);
            }
            Icon::Back => {
                self.line(&[(16.0, 10.0), (4.5, 10.0)]);
                self.line(&[(9.0, 5.0), (4.0, 10.0), (9.0, 15.0)]);
            }
        }
    }

    fn newest(&self) {
        self.line(&[(10.0, 3.0), (10.0, 13.0)]);
        self.line(&[(5.5, 9.0), (10.0, 13.5), (14.5, 9.0)]);
        self.line(&[(5.0, 17.0), (15.0, 17.0)]);
    }

    fn chat(&self) {
        self.round_rect((2.5, 3.5), (17.5, 14.0), 3.5);
        self.line(&[(6.0, 14.0), (6.0, 17.5), (10.0, 14.0)]);
        self.line(&[(6.0, 7.5), (14.0, 7.5)]);
        self.line(&[(6.0, 10.5), (11.0, 10.5)]);
    }

    fn pin(&self) {
        self.line(&[(7.0, 3.5), (13.0, 3.5)]);
        self.line(&[(8.0, 3.5), (7.5, 9.0), (5.0, 12.0), (15.0, 12.0)]);
        self.line(&[(15.0, 12.0), (12.5, 9.0), (12.0, 3.5)]);
        self.line(&[(10.0, 12.0), (10.0, 17.0)]);
    }

    fn people(&self) {
        self.circle(7.5, 6.5, 3.2);
        self.arc(7.5, 17.0, 5.7, 180.0, 360.0);
        self.arc(13.0, 6.8, 2.8, -110.0, 110.0);
        self.arc(13.0, 17.0, 5.0, 270.0, 360.0);
    }

    fn cluster(&self) {
        self.line(&[(10.0, 6.8), (5.8, 12.6)]);
        self.line(&[(10.0, 6.8), (14.2, 12.6)]);
        self.line(&[(7.4, 15.0), (12.6, 15.0)]);
        self.circle(10.0, 4.6, 2.5);
        self.circle(4.7, 15.0, 2.5);
        self.circle(15.3, 15.0, 2.5);
    }

    fn settings(&self) {
        for (y, knob) in [(5.0, 13.0), (10.0, 7.0), (15.0, 12.0)] {
            self.line(&[(3.0, y), (knob - 2.0, y)]);
            self.line(&[(knob + 2.0, y), (17.0, y)]);
            self.circle(knob, y, 2.0);
        }
    }

    fn keyboard(&self) {
        self.round_rect((1.8, 4.5), (18.2, 15.5), 2.5);
        for x in [5.0, 8.3, 11.7, 15.0] {
            self.dot(x, 8.2, 0.9);
        }
        self.line(&[(6.0, 12.2), (14.0, 12.2)]);
    }

    fn send(&self) {
        let points = [(2.5, 3.5), (18.0, 10.0), (2.5, 16.5), (5.5, 10.0)]
            .map(|(x, y)| self.at(x, y))
            .to_vec();
        self.painter
            .add(Shape::closed_line(points, PathStroke::from(self.stroke)));
        self.line(&[(5.5, 10.0), (11.0, 10.0)]);
    }

    fn warning(&self) {
        self.closed(&[(10.0, 2.8), (18.2, 16.8), (1.8, 16.8)]);
        self.line(&[(10.0, 8.0), (10.0, 11.8)]);
        self.dot(10.0, 14.2, 1.0);
    }

    fn trash(&self) {
        self.line(&[(3.5, 5.5), (16.5, 5.5)]);
        self.line(&[(7.5, 5.5), (7.5, 3.0), (12.5, 3.0), (12.5, 5.5)]);
        self.line(&[(5.2, 5.5), (6.2, 17.0), (13.8, 17.0), (14.8, 5.5)]);
        self.line(&[(8.4, 8.5), (8.7, 14.0)]);
        self.line(&[(11.6, 8.5), (11.3, 14.0)]);
    }

    fn bell(&self) {
        self.closed(&[
            (3.5, 14.5),
            (5.3, 12.0),
            (5.3, 8.0),
            (7.0, 4.6),
            (10.0, 3.3),
            (13.0, 4.6),
            (14.7, 8.0),
            (14.7, 12.0),
            (16.5, 14.5),
        ]);
        self.arc(10.0, 15.3, 2.2, 10.0, 170.0);
    }

    fn eye(&self) {
        self.arc(10.0, 15.0, 9.0, 214.0, 326.0);
        self.arc(10.0, 5.0, 9.0, 34.0, 146.0);
        self.circle(10.0, 10.0, 2.6);
    }

    fn chosen(&self) {
        self.dot(10.0, 10.0, 8.7);
        let over = Pen {
            painter: self.painter,
            square: self.square,
            stroke: Stroke::new(self.stroke.width * 1.1, Color32::WHITE),
        };
        over.line(&[(6.0, 10.3), (9.0, 13.2), (14.2, 7.2)]);
    }
}
