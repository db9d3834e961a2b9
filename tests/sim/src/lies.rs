//! The ways in which a guardian lies in ceremonies, as plans name them; `glass/liars` carries them out and judges by them.

/// How a guardian lies in ceremonies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Deals twice, differently.
    Equivocate,
    /// Deals for another threshold.
    WrongDegree,
    /// Seals no share to the first of the others, and answers no complaint.
    Withhold,
    /// Complains of everyone.
    Accuse,
    /// The same, again and again.
    Flood,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Equivocate, Self::WrongDegree, Self::Withhold, Self::Accuse, Self::Flood];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocate => "guardian: equivocating dealer",
            Self::WrongDegree => "guardian: dealing of another degree",
            Self::Withhold => "guardian: share withheld",
            Self::Accuse => "guardian: false complaints",
            Self::Flood => "guardian: flood of complaints",
        }
    }
}
