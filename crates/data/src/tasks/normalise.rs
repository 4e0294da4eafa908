//! Answers in the form in which VQA compares them.
//!
//! The rules are those of the data set's page ("Evaluation Code") and of the published evaluation,
//! whose results these functions give to the letter where page and code differ.

/// What is removed, or replaced by a space. The apostrophe and the colon stay: one marks possession
/// and contraction, the other the time.
const PUNCTUATION: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',',
    '?', '!',
];

const ARTICLES: [&str; 3] = ["a", "an", "the"];

const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];

/// Contractions without some apostrophe, each before its full form: the published list, without
/// the entries that change nothing and those with capitals, which are never met. One of them,
/// `somebody'd`, loses its apostrophe there, and so it does here.
const CONTRACTIONS: &str = "
    aint ain't arent aren't cant can't couldve could've couldnt couldn't couldn'tve couldn't've
    couldnt've couldn't've didnt didn't doesnt doesn't dont don't hadnt hadn't hadnt've hadn't've
    hadn'tve hadn't've hasnt hasn't havent haven't hed he'd hed've he'd've he'dve he'd've hes he's
    howd how'd howll how'll hows how's isnt isn't itd it'd itd've it'd've it'dve it'd've itll it'll
    maam ma'am mightnt mightn't mightnt've mightn't've mightn'tve mightn't've mightve might've
    mustnt mustn't mustve must've neednt needn't notve not've oclock o'clock oughtnt oughtn't
    ow's'at 'ow's'at 'ows'at 'ow's'at 'ow'sat 'ow's'at shant shan't shed've she'd've she'dve she'd've
    shouldve should've shouldnt shouldn't shouldnt've shouldn't've shouldn'tve shouldn't've
    somebody'd somebodyd somebodyd've somebody'd've somebody'dve somebody'd've somebodyll somebody'll
    somebodys somebody's someoned someone'd someoned've someone'd've someone'dve someone'd've
    someonell someone'll someones someone's somethingd something'd somethingd've something'd've
    something'dve something'd've somethingll something'll thats that's thered there'd thered've
    there'd've there'dve there'd've therere there're theres there's theyd they'd theyd've they'd've
    they'dve they'd've theyll they'll theyre they're theyve they've twas 'twas wasnt wasn't wed've
    we'd've we'dve we'd've weve we've werent weren't whatll what'll whatre what're whats what's
    whatve what've whens when's whered where'd wheres where's whereve where've whod who'd whod've
    who'd've who'dve who'd've wholl who'll whos who's whove who've whyll why'll whyre why're whys
    why's wont won't wouldve would've wouldnt wouldn't wouldnt've wouldn't've wouldn'tve wouldn't've
    yall y'all yall'll y'all'll y'allll y'all'll yall'd've y'all'd've y'alld've y'all'd've y'all'dve
    y'all'd've youd you'd youd've you'd've you'dve you'd've youll you'll youre you're youve you've
";

/// The published code passes a flag of the value 32 where the number of replacements is expected:
/// no more periods than these are removed.
const PERIODS: usize = 32;

/// An answer in the form in which answers are compared: lower case, without articles, periods and
/// most other punctuation, with digits for the numbers up to ten and with the apostrophes of
/// contractions.
pub fn normalise(answer: &str) -> String {
    words(&without_punctuation(&trimmed(answer)))
}

/// An answer without white space around it, with spaces for line feeds and tabs: what the
/// evaluation does to every answer first.
pub fn trimmed(answer: &str) -> String {
    answer.replace(['\n', '\t'], " ").trim_matches(is_space).to_owned()
}

/// White space as Python has it: also the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Without punctuation. A mark becomes nothing where it, anywhere in the answer, touches a space,
/// or where the answer has a comma between digits; otherwise it becomes a space.
fn without_punctuation(answer: &str) -> String {
    let characters: Vec<char> = answer.chars().collect();
    let is_digit = |at: usize| characters.get(at).is_some_and(char::is_ascii_digit);
    let has_number = (1..characters.len())
        .any(|at| characters[at] == ',' && is_digit(at - 1) && is_digit(at + 1));
    let touches_space =
        |mark: char| characters.windows(2).any(|pair| *pair == [mark, ' '] || *pair == [' ', mark]);
    let removed = PUNCTUATION.map(|mark| has_number || touches_space(mark));
    let mut text = String::with_capacity(answer.len());
    for &c in &characters {
        match PUNCTUATION.iter().position(|&mark| mark == c) {
            None => text.push(c),
            Some(mark) if removed[mark] => {}
            Some(_) => text.push(' '),
        }
    }
    without_periods(&text)
}

/// Without the periods that no digit follows.
fn without_periods(text: &str) -> String {
    let mut left = PERIODS;
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let ends = c == '.' && !characters.peek().is_some_and(char::is_ascii_digit);
        if ends && left > 0 {
            left -= 1;
        } else {
            kept.push(c);
        }
    }
    kept
}

/// Lower case, digits for numbers, no articles, apostrophes in contractions, single spaces.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let words = words.map(|word| {
        NUMBERS.iter().find(|(number, _)| *number == word).map_or(word, |(_, digits)| digits)
    });
    let words = words.filter(|word| !ARTICLES.contains(word)).map(expand);
    words.collect::<Vec<_>>().join(" ")
}

/// A contraction with its apostrophes; any other word as it is.
fn expand(word: &str) -> &str {
    let mut table = CONTRACTIONS.split_whitespace();
    while let (Some(short), Some(full)) = (table.next(), table.next()) {
        if short == word {
            return full;
        }
    }
    word
}
