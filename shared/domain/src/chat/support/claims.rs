//! What a sentence claims, compared with what the cited text says, claim by claim.

use super::Unsupported;
use super::lexicon::{Lexicon, stem};
use super::quantities::{Quantity, quantities};
use super::reading::{Kind, Piece, read};
use super::spelling::{is_drug, is_organism, related};
use crate::text::Analyzer;

/// Words that deny what follows.
const DENIALS: &[&str] = &[
    "not", "no", "never", "without", "neither", "nor", "none", "avoid", "avoids", "avoiding", "denies", "denied", "deny",
    "lacks", "lack", "lacking", "nobody", "refuse", "refused", "refuses", "free",
];
/// How many words that say something a denial or a modal verb reaches.
const REACH: usize = 5;
/// How far around a word its company is looked for, in pieces.
const COMPANY: usize = 7;
/// A place elsewhere in the text has to fit this much better before a word counts as taken from there.
const BETTER: f32 = 1.3;
/// And this much better before it counts as put in the place of another word.
const ELSEWHERE: f32 = 1.5;
/// A clause of at least this many words is looked at by itself.
const CLAUSE_WORDS: usize = 3;
/// At least this share of a clause's words must be in the cited text.
const CLAUSE_SHARE: f32 = 0.6;
/// At least this share of the sentence's words.
const SHARE: f32 = 0.75;
/// At least this share of neighbouring words must be near each other in the cited text too.
const COHESION: f32 = 0.4;

const CALENDAR: &[&str] = &[
    "april",
    "august",
    "december",
    "february",
    "friday",
    "january",
    "july",
    "june",
    "march",
    "monday",
    "november",
    "october",
    "saturday",
    "september",
    "sunday",
    "thursday",
    "tuesday",
    "wednesday",
];

/// How binding a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modal {
    Must,
    Should,
    May,
}

fn modal(word: &str) -> Option<Modal> {
    Some(match word {
        "must" | "shall" | "mandatory" | "obligatory" => Modal::Must,
        "should" | "ought" => Modal::Should,
        "may" | "can" | "might" | "could" | "optional" => Modal::May,
        _ => return None,
    })
}

/// A word that denies, where, and which words it denies.
struct Denial {
    at: usize,
    /// Words that say something, nearest first.
    denied: Vec<usize>,
}

/// A text with everything that is compared.
pub(super) struct Reading {
    pieces: Vec<Piece>,
    quantities: Vec<Quantity>,
    denials: Vec<Denial>,
    /// By piece.
    is_denied: Vec<bool>,
    modals: Vec<Option<Modal>>,
    /// The groups of equivalents that a piece is a member of, or a part of a member.
    groups: Vec<Vec<u16>>,
    is_quantity: Vec<bool>,
}

/// The sentence.
pub(super) struct Claim(Reading);
/// What it cites.
pub(super) struct Evidence(Reading);

impl Claim {
    pub fn read(text: &str, analyzer: &Analyzer, lexicon: &Lexicon) -> Self {
        Self(Reading::new(text, analyzer, lexicon))
    }
}

impl Evidence {
    pub fn read(text: &str, analyzer: &Analyzer, lexicon: &Lexicon) -> Self {
        Self(Reading::new(text, analyzer, lexicon))
    }
}

impl Reading {
    fn new(text: &str, analyzer: &Analyzer, lexicon: &Lexicon) -> Self {
        let pieces = read(text, analyzer);
        let quantities = quantities(&pieces);
        let mut is_quantity = vec![false; pieces.len()];
        for quantity in &quantities {
            is_quantity[quantity.from..quantity.to].fill(true);
        }
        let mut groups: Vec<Vec<u16>> = pieces
            .iter()
            .map(|p| if p.kind == Kind::Word { lexicon.groups(&stem(&p.text, analyzer)).to_vec() } else { Vec::new() })
            .collect();
        let words: Vec<usize> = (0..pieces.len()).filter(|i| matches!(pieces[*i].kind, Kind::Word | Kind::Code)).collect();
        let stems: Vec<&str> = words.iter().map(|i| pieces[*i].stem.as_str()).collect();
        for at in 0..words.len() {
            for (length, group) in lexicon.phrases(&stems[at..]) {
                for word in &words[at..at + length] {
                    groups[*word].push(group);
                }
            }
        }
        let mut reading = Self {
            denials: Vec::new(),
            is_denied: vec![false; pieces.len()],
            modals: vec![None; pieces.len()],
            groups,
            is_quantity,
            pieces,
            quantities,
        };
        reading.deny();
        reading.bind();
        reading
    }

    /// Words after `at` that say something, in the same clause, or before it.
    fn reached(&self, at: usize, backwards: bool) -> Vec<usize> {
        let clause = self.pieces[at].clause;
        let sentence = self.pieces[at].sentence;
        let fits = |i: &usize| self.pieces[*i].sentence == sentence && (self.pieces[*i].clause == clause);
        let says = |i: &usize| self.pieces[*i].is_content && modal(&self.pieces[*i].text).is_none();
        if backwards {
            (0..at).rev().take_while(fits).filter(says).take(REACH).collect()
        } else {
            let stops =
                |i: &usize| !matches!(self.pieces[*i].text.as_str(), "but" | "unless" | "except" | "although" | "because");
            (at + 1..self.pieces.len()).take_while(fits).take_while(stops).filter(says).take(REACH).collect()
        }
    }

    fn deny(&mut self) {
        for at in 0..self.pieces.len() {
            let piece = &self.pieces[at];
            let text = piece.text.as_str();
            let next = self.pieces.get(at + 1).map_or("", |p| p.text.as_str());
            let before = at.checked_sub(1).map_or("", |i| self.pieces[i].text.as_str());
            let denies = piece.kind == Kind::Word
                && !self.is_quantity[at]
                && match text {
                    "avoided" | "absent" | "forbidden" | "prohibited" => true,
                    "free" => next == "of",
                    "not" => !matches!(next, "only" | "just" | "necessarily") && before != "or" && before != "whether",
                    "without" => before != "or",
                    "no" => !matches!(next, "longer" | "more" | "less" | "later" | "sooner") || next == "longer",
                    _ => DENIALS.contains(&text),
                };
            if !denies {
                continue;
            }
            let reached = self.reached(at, matches!(text, "avoided" | "absent" | "forbidden" | "prohibited"));
            for word in &reached {
                self.is_denied[*word] = true;
            }
            self.denials.push(Denial { at, denied: reached });
        }
    }

    fn bind(&mut self) {
        for at in 0..self.pieces.len() {
            if self.pieces[at].kind != Kind::Word {
                continue;
            }
            let next = |k: usize| self.pieces.get(at + k).map_or("", |p| p.text.as_str());
            let found = modal(&self.pieces[at].text).or(match (self.pieces[at].text.as_str(), next(1)) {
                ("have" | "has" | "need" | "needs", "to") => Some(Modal::Must),
                _ => None,
            });
            // "May 2019" is no permission.
            let is_month = self.pieces[at].text == "may"
                && (self.pieces[at].is_name || matches!(self.pieces.get(at + 1).map(|p| p.kind), Some(Kind::Number(_))));
            if let Some(found) = found.filter(|_| !is_month) {
                for word in self.reached(at, false).into_iter().take(3) {
                    self.modals[word] = Some(found);
                }
            }
        }
    }

    /// The words that say something and are not part of a figure.
    fn content(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.pieces.len()).filter(|i| {
            let piece = &self.pieces[*i];
            piece.is_content && !self.is_quantity[*i] && modal(&piece.text).is_none() && !DENIALS.contains(&piece.text.as_str())
        })
    }
}

/// A claim beside its evidence.
struct Comparison<'a> {
    claim: &'a Reading,
    evidence: &'a Reading,
    lexicon: &'a Lexicon,
    /// For each piece of the claim, where the evidence has the same.
    same: Vec<Vec<usize>>,
}

/// Finds the first thing that the claim says and the evidence does not.
pub(super) fn compare(claim: &Claim, evidence: &Evidence, lexicon: &Lexicon) -> Result<(), Unsupported> {
    let (claim, evidence) = (&claim.0, &evidence.0);
    let mut comparison = Comparison { claim, evidence, lexicon, same: Vec::new() };
    comparison.same = (0..claim.pieces.len())
        .map(|i| {
            let is_word = matches!(claim.pieces[i].kind, Kind::Word | Kind::Code);
            if is_word { (0..evidence.pieces.len()).filter(|j| comparison.is_same(i, *j)).collect() } else { Vec::new() }
        })
        .collect();
    comparison.quantities()?;
    comparison.calendar()?;
    comparison.denials()?;
    comparison.conditions()?;
    comparison.contrasts()?;
    comparison.modals()?;
    comparison.names()?;
    comparison.content()
}

impl Comparison<'_> {
    /// Whether two words say the same.
    fn is_same(&self, i: usize, j: usize) -> bool {
        let (a, b) = (&self.claim.pieces[i], &self.evidence.pieces[j]);
        if !matches!(b.kind, Kind::Word | Kind::Code) {
            return false;
        }
        if a.text == b.text || (a.kind == Kind::Word && a.stem == b.stem) {
            return true;
        }
        if a.kind == Kind::Code || b.kind == Kind::Code {
            return false;
        }
        if self.claim.groups[i].iter().any(|g| self.evidence.groups[j].contains(g)) {
            return true;
        }
        !is_drug(&a.text) && !is_drug(&b.text) && related(&a.text, &b.text)
    }

    /// How well a piece of the claim fits to a place in the evidence: how much of its company is there too.
    fn fit(&self, i: usize, j: usize) -> f32 {
        self.company(i, j, |distance| (1.0 + distance as f32).sqrt().recip()).iter().sum()
    }

    /// For each word around a piece of the claim, how much of it is around a place in the evidence.
    fn company(&self, i: usize, j: usize, weight: impl Fn(usize) -> f32) -> Vec<f32> {
        let (claim, evidence) = (self.claim, self.evidence);
        let sentence = claim.pieces[i].sentence;
        let around = i.saturating_sub(COMPANY)..(i + COMPANY + 1).min(claim.pieces.len());
        let company = around.map(|k| {
            if k == i || claim.pieces[k].sentence != sentence || !claim.pieces[k].is_content {
                return 0.0;
            }
            let near =
                || self.same[k].iter().filter(|l| **l != j && evidence.pieces[**l].sentence == evidence.pieces[j].sentence);
            let Some(distance) = near().map(|l| l.abs_diff(j)).min() else { return 0.0 };
            let same_side = near().any(|l| (*l < j) == (k < i) && l.abs_diff(j) == distance);
            let order = if same_side { 1.0 } else { 0.8 };
            order * weight(i.abs_diff(k)) * weight(distance)
        });
        company.collect()
    }

    /// The place in the evidence that fits a word best.
    fn aligned(&self, i: usize) -> Option<usize> {
        self.same[i].iter().copied().max_by(|a, b| self.fit(i, *a).total_cmp(&self.fit(i, *b)).then(b.cmp(a)))
    }

    fn quantities(&self) -> Result<(), Unsupported> {
        let there = &self.evidence.quantities;
        for claimed in &self.claim.quantities {
            let matching: Vec<&Quantity> =
                there.iter().filter(|q| q.has_same_value(claimed) && q.dimension == claimed.dimension).collect();
            if matching.is_empty() {
                // "one" as a word, and figures that are part of a name.
                let raw = self.claim.pieces[claimed.from..claimed.to].iter().find(|p| matches!(p.kind, Kind::Number(_)));
                let as_code = raw.is_some_and(|p| self.evidence.pieces.iter().any(|e| e.kind == Kind::Code && e.text == p.text));
                if as_code && claimed.dimension.is_empty() {
                    continue;
                }
                let is_date = claimed.is_year();
                return Err(if is_date {
                    Unsupported::Date
                } else if there.iter().any(|q| self.has_same_figure(q, claimed)) {
                    Unsupported::Unit
                } else {
                    Unsupported::Number
                });
            }
            let bounded: Vec<&&Quantity> = matching.iter().filter(|q| q.comparator == claimed.comparator).collect();
            if bounded.is_empty() {
                return Err(Unsupported::Comparator);
            }
            if let Some(own) = bounded
                .iter()
                .copied()
                .copied()
                .max_by(|a, b| self.fit_quantity(claimed, a).total_cmp(&self.fit_quantity(claimed, b)))
                && there.iter().any(|other| self.belongs_elsewhere(claimed, own, other))
            {
                return Err(Unsupported::Number);
            }
        }
        Ok(())
    }

    /// Whether both are written with the same figure, whatever the unit.
    fn has_same_figure(&self, there: &Quantity, claimed: &Quantity) -> bool {
        let figure = |reading: &Reading, q: &Quantity| {
            reading.pieces[q.from..q.to].iter().find_map(|p| if let Kind::Number(n) = p.kind { Some(n) } else { None })
        };
        figure(self.evidence, there) == figure(self.claim, claimed)
    }

    fn fit_quantity(&self, claimed: &Quantity, there: &Quantity) -> f32 {
        self.company_of(claimed, there).iter().sum()
    }

    /// Whether the company of a claimed figure is that of another figure: "morphine 5 mg, codeine 30 mg" does not say
    /// "morphine 30 mg". Figures next to each other ("types 1 and 2") share their company.
    fn belongs_elsewhere(&self, claimed: &Quantity, own: &Quantity, other: &Quantity) -> bool {
        if other.dimension != claimed.dimension || other.has_same_value(claimed) || own.from.abs_diff(other.from) < 5 {
            return false;
        }
        let (mut more, mut less) = (0.0, 0.0);
        for (there, here) in self.company_of(claimed, other).into_iter().zip(self.company_of(claimed, own)) {
            if there > here { more += there - here } else { less += here - there }
        }
        more > 2.0 * less + 0.15
    }

    /// For each word around a claimed figure, how near it is to a figure there. A figure belongs to the words next to it.
    fn company_of(&self, claimed: &Quantity, there: &Quantity) -> Vec<f32> {
        let at = |reading: &Reading, q: &Quantity| {
            (q.from..q.to).find(|i| matches!(reading.pieces[*i].kind, Kind::Number(_))).unwrap_or(q.from)
        };
        let (i, j) = (at(self.claim, claimed), at(self.evidence, there));
        self.company(i, j, |distance| (distance.max(1) as f32).recip())
    }

    fn calendar(&self) -> Result<(), Unsupported> {
        for piece in &self.claim.pieces {
            let is_day = CALENDAR.binary_search(&piece.text.as_str()).is_ok() && (piece.is_name || piece.is_first);
            let is_time = piece.kind == Kind::Code
                && piece.text.contains([':', '/'])
                && piece.text.starts_with(|c: char| c.is_ascii_digit());
            if (is_day || is_time) && !self.evidence.pieces.iter().any(|p| p.text == piece.text) {
                return Err(
                    if is_time
                        && piece.text.contains('/')
                        && !piece.text.ends_with(char::is_alphabetic)
                        && piece.text.matches('/').count() == 1
                    {
                        Unsupported::Number
                    } else {
                        Unsupported::Date
                    },
                );
            }
        }
        Ok(())
    }

    fn denials(&self) -> Result<(), Unsupported> {
        // Each denial of the claim needs one of its own: two of them may cancel out.
        let mut used: Vec<usize> = Vec::new();
        for denial in &self.claim.denials {
            let fits = |there: &Denial| {
                let same_word = self.evidence.pieces[there.at].text == self.claim.pieces[denial.at].text;
                (denial.denied.is_empty() && same_word)
                    || denial.denied.iter().any(|i| {
                        there.denied.iter().any(|j| self.same[*i].contains(j) && self.fit(*i, *j) * BETTER >= self.best_fit(*i))
                    })
            };
            match self.evidence.denials.iter().find(|there| !used.contains(&there.at) && fits(there)) {
                Some(there) => used.push(there.at),
                None => return Err(Unsupported::Negation),
            }
        }
        for denial in &self.evidence.denials {
            for j in denial.denied.iter().take(2) {
                let claims =
                    (0..self.claim.pieces.len()).filter(|i| self.claim.pieces[*i].is_content && self.same[*i].contains(j));
                for i in claims {
                    if self.aligned(i) == Some(*j) && !self.claim.is_denied[i] {
                        return Err(Unsupported::Negation);
                    }
                }
            }
        }
        Ok(())
    }

    fn best_fit(&self, i: usize) -> f32 {
        self.same[i].iter().map(|j| self.fit(i, *j)).fold(0.0, f32::max)
    }

    fn conditions(&self) -> Result<(), Unsupported> {
        let excepts = |piece: &Piece| matches!(piece.text.as_str(), "unless" | "except" | "excluding");
        let claimed = self.claim.pieces.iter().any(excepts);
        if claimed {
            return if self.evidence.pieces.iter().any(excepts) { Ok(()) } else { Err(Unsupported::Condition) };
        }
        // The sentence that most of the claim is from.
        let mut votes: Vec<(usize, usize)> = Vec::new();
        for i in self.claim.content() {
            if let Some(j) = self.aligned(i) {
                let sentence = self.evidence.pieces[j].sentence;
                match votes.iter_mut().find(|(s, _)| *s == sentence) {
                    Some((_, n)) => *n += 1,
                    None => votes.push((sentence, 1)),
                }
            }
        }
        let Some((sentence, _)) = votes.iter().max_by_key(|(_, n)| *n) else { return Ok(()) };
        let at = self.evidence.pieces.iter().position(|p| p.sentence == *sentence && p.text == "unless");
        match at {
            Some(_) => Err(Unsupported::Condition),
            None => Ok(()),
        }
    }

    fn contrasts(&self) -> Result<(), Unsupported> {
        for (i, piece) in self.claim.pieces.iter().enumerate() {
            if piece.kind != Kind::Word || self.claim.is_quantity[i] {
                continue;
            }
            for (pair, side) in self.lexicon.sides(&piece.stem) {
                let on = |wanted: bool| {
                    (0..self.evidence.pieces.len()).filter(move |j| {
                        let other = &self.evidence.pieces[*j];
                        other.kind == Kind::Word
                            && !self.evidence.is_quantity[*j]
                            && self.lexicon.sides(&other.stem).contains(&(*pair, wanted))
                    })
                };
                let own = on(*side).chain(self.same[i].iter().copied()).map(|j| self.fit(i, j)).fold(-1.0, f32::max);
                let other = on(!side).filter(|j| !self.same[i].contains(j)).map(|j| self.fit(i, j)).fold(-1.0, f32::max);
                if other >= 0.0 && (own < 0.0 || other > own * BETTER + 0.15) {
                    return Err(Unsupported::Contrast);
                }
            }
        }
        self.order_around_than()
    }

    /// "A is higher than B" is not "B is higher than A".
    fn order_around_than(&self) -> Result<(), Unsupported> {
        let sides = |reading: &Reading, at: usize| -> (Vec<usize>, Vec<usize>) {
            let fits = |i: &usize| reading.pieces[*i].sentence == reading.pieces[at].sentence && reading.pieces[*i].is_content;
            ((0..at).rev().take(10).filter(fits).collect(), (at + 1..reading.pieces.len()).take(6).filter(fits).collect())
        };
        for (i, _) in self.claim.pieces.iter().enumerate().filter(|(i, p)| p.is("than") && !self.claim.is_quantity[*i]) {
            let (left, right) = sides(self.claim, i);
            for (j, _) in self.evidence.pieces.iter().enumerate().filter(|(j, p)| p.is("than") && !self.evidence.is_quantity[*j])
            {
                let (left_there, right_there) = sides(self.evidence, j);
                // What stands on one side only decides: "than in patients" may be on both.
                let only = |side: &[usize], other: &[usize]| -> Vec<usize> {
                    let is_there =
                        |y: &usize| other.iter().any(|z| self.evidence.pieces[*z].stem == self.evidence.pieces[*y].stem);
                    side.iter().copied().filter(|y| !is_there(y)).collect()
                };
                let (left_only, right_only) = (only(&left_there, &right_there), only(&right_there, &left_there));
                let common = |a: &[usize], b: &[usize]| a.iter().filter(|x| self.same[**x].iter().any(|y| b.contains(y))).count();
                let is_crossed = common(&right, &left_only) > 0 && common(&right, &right_only) == 0;
                if is_crossed && common(&left, &right_only) > 0 {
                    return Err(Unsupported::Contrast);
                }
            }
        }
        Ok(())
    }

    fn modals(&self) -> Result<(), Unsupported> {
        let mut last = None;
        for i in self.claim.content() {
            let Some(j) = self.aligned(i) else { continue };
            let (claimed, there) = (self.claim.modals[i], self.evidence.modals[j]);
            let is_order = self.evidence.pieces[j].is_first;
            let differs = match (claimed, there) {
                (Some(a), Some(b)) => a != b,
                // What may happen does not always happen.
                (None, Some(Modal::May)) => last == Some(i.wrapping_sub(1)) || self.is_head(j),
                (Some(Modal::May), None) => is_order,
                _ => false,
            };
            if differs {
                return Err(Unsupported::Modality);
            }
            last = Some(i);
        }
        Ok(())
    }

    /// Whether a word is the first that its modal verb reaches.
    fn is_head(&self, j: usize) -> bool {
        self.evidence.pieces[..j]
            .iter()
            .rev()
            .take(3)
            .take_while(|p| !p.is_content || modal(&p.text).is_some())
            .any(|p| modal(&p.text).is_some())
    }

    fn names(&self) -> Result<(), Unsupported> {
        for i in 0..self.claim.pieces.len() {
            let piece = &self.claim.pieces[i];
            let is_strict = match piece.kind {
                Kind::Word => (piece.is_name && piece.is_content) || is_drug(&piece.text) || is_organism(&piece.text),
                Kind::Code => true,
                _ => false,
            };
            if !is_strict || self.claim.is_quantity[i] {
                continue;
            }
            if self.same[i].is_empty() {
                if self.is_initials(piece) || self.is_written_otherwise(piece) {
                    continue;
                }
                return Err(Unsupported::Name);
            }
            // Another name stands where this one is put.
            let own = self.best_fit(i);
            let others = (0..self.evidence.pieces.len()).filter(|j| {
                let other = &self.evidence.pieces[*j];
                !self.same[i].contains(j)
                    && (is_drug(&other.text) || is_organism(&other.text) || (other.is_name && other.is_content))
                    && !self.claim.pieces.iter().any(|p| p.stem == other.stem)
            });
            let other = others.map(|j| self.fit(i, j)).fold(0.0, f32::max);
            if other > own * 1.6 + 0.4 {
                return Err(Unsupported::Name);
            }
        }
        Ok(())
    }

    /// "AKI" for "acute kidney injury", spelled out there.
    fn is_initials(&self, piece: &Piece) -> bool {
        if !piece.is_acronym || piece.text.chars().count() < 2 {
            return false;
        }
        let first: Vec<char> =
            self.evidence.pieces.iter().filter(|p| p.kind == Kind::Word).filter_map(|p| p.text.chars().next()).collect();
        let wanted: Vec<char> = piece.text.trim_end_matches('s').chars().collect();
        wanted.len() >= 2 && first.windows(wanted.len()).any(|window| window == wanted)
    }

    /// "IL6" for "IL-6", "first" for "1st", "10.30" for "10:30".
    fn is_written_otherwise(&self, piece: &Piece) -> bool {
        let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let wanted = plain(&piece.text);
        let ordinal = match piece.text.as_str() {
            "1th" => "first",
            "2th" => "second",
            "3th" => "third",
            _ => "",
        };
        self.evidence
            .pieces
            .iter()
            .any(|p| (p.kind == Kind::Code && plain(&p.text) == wanted) || (!ordinal.is_empty() && p.text == ordinal))
    }

    fn content(&self) -> Result<(), Unsupported> {
        let words: Vec<usize> = self.claim.content().collect();
        if words.is_empty() {
            return if self.claim.quantities.is_empty() { Err(Unsupported::Content) } else { Ok(()) };
        }
        let mut clauses: Vec<(usize, f32, f32)> = Vec::new();
        for i in &words {
            let piece = &self.claim.pieces[*i];
            let is_there = !self.same[*i].is_empty() || self.is_initials(piece) || self.is_written_otherwise(piece);
            if !self.lexicon.is_everyday(&piece.stem) && (!is_there || self.is_in_anothers_place(*i)) {
                return Err(Unsupported::Content);
            }
            let clause = piece.clause;
            if clauses.last().is_none_or(|(c, ..)| *c != clause) {
                clauses.push((clause, 0.0, 0.0));
            }
            if let Some((_, all, there)) = clauses.last_mut() {
                *all += 1.0;
                *there += if is_there { 1.0 } else { 0.0 };
            }
        }
        let (all, there) = clauses.iter().fold((0.0, 0.0), |(a, t), (_, all, there)| (a + all, t + there));
        let is_thin = |all: f32, there: f32, share: f32| all > 0.0 && there / all < share;
        if is_thin(all, there, SHARE)
            || clauses.iter().any(|(_, all, there)| *all >= CLAUSE_WORDS as f32 && is_thin(*all, *there, CLAUSE_SHARE))
        {
            return Err(Unsupported::Content);
        }
        if self.cohesion(&words) < COHESION { Err(Unsupported::Content) } else { Ok(()) }
    }

    /// Whether a word is put where the evidence has another one that the claim leaves out: its own place is elsewhere.
    fn is_in_anothers_place(&self, i: usize) -> bool {
        if self.same[i].is_empty() {
            return false;
        }
        let own = self.best_fit(i);
        let others = (0..self.evidence.pieces.len()).filter(|j| {
            let other = &self.evidence.pieces[*j];
            other.is_content
                && !self.evidence.is_quantity[*j]
                && !self.lexicon.is_everyday(&other.stem)
                && !self.same.iter().any(|places| places.contains(j))
        });
        others.map(|j| self.fit(i, j)).fold(0.0, f32::max) > own * ELSEWHERE + 0.3
    }

    /// The share of neighbouring words that stand near each other in the evidence.
    fn cohesion(&self, words: &[usize]) -> f32 {
        let known: Vec<usize> = words.iter().copied().filter(|i| !self.same[*i].is_empty()).collect();
        if known.len() < 3 {
            return 1.0;
        }
        let near = |a: usize, b: usize| {
            self.same[a].iter().any(|j| {
                self.same[b]
                    .iter()
                    .any(|l| self.evidence.pieces[*j].sentence == self.evidence.pieces[*l].sentence && j.abs_diff(*l) <= 8)
            })
        };
        let pairs = known.windows(2).filter(|pair| near(pair[0], pair[1])).count();
        pairs as f32 / (known.len() - 1) as f32
    }
}
