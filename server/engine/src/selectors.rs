use breaker_core::{BreakerName, NameGlob};

/// One selector: a name, or a glob over names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Exactly this breaker.
    Name(BreakerName),
    /// Every breaker whose name matches.
    Glob(NameGlob),
}

impl Selector {
    /// Checks a text as a name or, if it has a star, as a glob.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if NameGlob::is_glob(text) {
            NameGlob::new(text).map(Self::Glob).map_err(|error| error.to_string())
        } else {
            BreakerName::new(text).map(Self::Name).map_err(|error| error.to_string())
        }
    }

    /// The selector as it was given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Glob(glob) => glob.as_str(),
        }
    }

    /// How many bytes of it stand for themselves.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.as_str().bytes().filter(|&byte| byte != b'*').count()
    }

    /// What every name that is selected begins with.
    pub(crate) fn literal_prefix(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Glob(glob) => glob.literal_prefix(),
        }
    }

    /// Whether the breaker of this name is selected.
    pub fn matches(&self, name: &BreakerName) -> bool {
        match self {
            Self::Name(selected) => selected == name,
            Self::Glob(glob) => glob.matches(name.as_str()),
        }
    }
}

/// Any number of selectors; none selects every breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// In order, each once.
    names: Box<[BreakerName]>,
    /// In order, each once.
    globs: Box<[NameGlob]>,
}

impl Selectors {
    /// Gathers selectors.
    pub fn new(selectors: impl IntoIterator<Item = Selector>) -> Self {
        let (mut names, mut globs) = (Vec::new(), Vec::new());
        for selector in selectors {
            match selector {
                Selector::Name(name) => names.push(name),
                Selector::Glob(glob) => globs.push(glob),
            }
        }
        names.sort_unstable();
        names.dedup();
        globs.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        globs.dedup();
        Self { names: names.into(), globs: globs.into() }
    }

    /// The breakers that are selected by name, in order.
    pub(crate) const fn names(&self) -> &[BreakerName] {
        &self.names
    }

    /// The globs that others are selected by.
    pub(crate) const fn globs(&self) -> &[NameGlob] {
        &self.globs
    }

    /// Those of them that come after a name.
    pub(crate) fn names_after(&self, after: Option<&BreakerName>) -> &[BreakerName] {
        let Some(after) = after else { return &self.names };
        &self.names[self.names.partition_point(|name| name <= after)..]
    }

    /// What names begin with that are not selected by name, in order: whatever begins with one of
    /// these texts comes before all that begins with a later one.
    pub(crate) fn literal_prefixes(&self) -> Vec<&str> {
        if self.selects_all() {
            return vec![""];
        }
        apart(self.globs.iter().map(NameGlob::literal_prefix))
    }

    /// Whether every breaker is selected, because nothing narrows them down.
    pub(crate) const fn selects_all(&self) -> bool {
        self.names.is_empty() && self.globs.is_empty()
    }

    /// Whether the breaker of this name is selected.
    pub fn matches(&self, name: &BreakerName) -> bool {
        self.selects_all()
            || self.names.binary_search(name).is_ok()
            || self.globs.iter().any(|glob| glob.matches(name.as_str()))
    }

    /// The selectors in an order that does not depend on how they were given.
    pub(crate) fn canonical(&self) -> Vec<&str> {
        let names = self.names.iter().map(BreakerName::as_str);
        names.chain(self.globs.iter().map(NameGlob::as_str)).collect()
    }
}

/// Beginnings of names in their order, without those that begin with another one of them: what begins
/// so is found with that one.
pub(crate) fn apart<'p>(prefixes: impl Iterator<Item = &'p str>) -> Vec<&'p str> {
    let mut prefixes: Vec<_> = prefixes.collect();
    // One that begins with another stands behind it.
    prefixes.sort_unstable();
    prefixes.dedup_by(|later, earlier| later.starts_with(*earlier));
    prefixes
}
