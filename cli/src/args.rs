//! What can be typed. The help texts are the manual: each command has examples.

use crate::display::Chatter;
use crate::outcome::EXIT_CODES;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use domain::documents::attributes::{Group, Tag, parse_date};
use domain::ids::{ConversationId, DocumentId};
use jiff::civil::Date;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  clinchat up                                           start the local stack with the sample documents
  clinchat upload guideline.pdf                         upload, and wait until it can be searched
  clinchat ask How soon must antibiotics be given?      a cited answer
  clinchat ls                                           the documents
  clinchat --profile dev status                         the same against a deployed stack";

/// Ask your own documents and get answers proven by page.
#[derive(Parser)]
#[command(name = "clinchat", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 110)]
pub struct Arguments {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args)]
pub struct Shared {
    /// Which stack: a profile's name
    #[arg(long, global = true, env = "CLINCHAT_PROFILE", default_value = "local", value_name = "NAME")]
    pub profile: String,
    /// As whom: one of the profile's people, or a user name
    #[arg(long = "as", global = true, value_name = "PERSON")]
    pub person: Option<String>,
    /// Results and errors only: no progress, no remarks
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Show each request on standard error (never tokens, links or content)
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
}

impl Shared {
    /// How much to say.
    pub const fn chatter(&self) -> Chatter {
        match (self.quiet, self.verbose) {
            (true, _) => Chatter::Quiet,
            (false, true) => Chatter::Verbose,
            (false, false) => Chatter::Normal,
        }
    }
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Start the local stack: build, deploy, index the samples, ask one question
    #[command(after_help = "Examples:\n  clinchat up\n  clinchat up --no-samples\n\nSafe to repeat, and to interrupt.")]
    Up {
        /// Handed on to local/stack.py up, such as --no-samples or --no-build
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<String>,
    },
    /// Stop the local stack; its data stays
    #[command(after_help = "Example:\n  clinchat down")]
    Down,
    /// Stop the local stack and delete its data
    #[command(after_help = "Example:\n  clinchat reset")]
    Reset,
    /// Which stack, whether it answers, who is signed in, how many documents
    #[command(after_help = "Examples:\n  clinchat status\n  clinchat --profile dev status --json")]
    Status(JsonFlag),
    /// What language models cost today: by model, department, person and hour (operators)
    #[command(after_help = "Examples:\n  clinchat --as operator cost\n  clinchat --as operator cost --json | jq .spent")]
    Cost(JsonFlag),
    /// Upload documents, and wait until they can be searched
    #[command(after_help = "\
Examples:
  clinchat upload guideline.pdf
  clinchat upload --title \"Sepsis pathway\" sepsis-v3-final.pdf
  clinchat upload --tag sepsis --date 2026-03-01 --group icu protocol.pdf
  clinchat upload --replace doc_0123456789abcdefghjkmnpqrs sepsis-v4.pdf
  clinchat upload handbook/                   every PDF, DOCX, HTML, Markdown, text and CSV file below the folder
  clinchat upload --no-wait *.pdf             return as soon as the bytes have arrived")]
    Upload(Upload),
    /// List the documents
    #[command(
        visible_alias = "list",
        after_help = "\
Examples:
  clinchat ls
  clinchat ls --tag sepsis
  clinchat ls --json | jq -r '.documents[] | select(.status == \"failed\") | .id'"
    )]
    Ls(List),
    /// Show one document: state, reason, pages, version
    #[command(after_help = "Example:\n  clinchat show doc_0123456789abcdefghjkmnpqrs")]
    Show(One),
    /// List the versions of a document that can still be opened, the newest first
    #[command(after_help = "Example:\n  clinchat versions doc_0123456789abcdefghjkmnpqrs")]
    Versions(One),
    /// Show the receipt of a deletion, and check its digest
    #[command(after_help = "\
Example:
  clinchat receipt doc_0123456789abcdefghjkmnpqrs

The audit event document_deleted carries the same digest.")]
    Receipt(One),
    /// Change a document's title, tags, date or access groups; it is not uploaded or read again
    #[command(after_help = "\
Examples:
  clinchat edit doc_0123456789abcdefghjkmnpqrs --add-tag sepsis --remove-tag draft
  clinchat edit doc_0123456789abcdefghjkmnpqrs --date 2026-03-01 --title \"Sepsis pathway\"
  clinchat edit doc_0123456789abcdefghjkmnpqrs --group icu,theatre
  clinchat edit doc_0123456789abcdefghjkmnpqrs --everybody

Only groups that you are in can be set or taken away; others take the role access-admin.")]
    Edit(Edit),
    /// Print a short-lived link to a document's content, or download it
    #[command(after_help = "\
Examples:
  clinchat open doc_0123456789abcdefghjkmnpqrs
  clinchat open doc_0123456789abcdefghjkmnpqrs --output sepsis.pdf
  clinchat open doc_0123456789abcdefghjkmnpqrs --version 3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY

Opening is audited.")]
    Open(Open),
    /// Delete documents
    #[command(after_help = "\
Examples:
  clinchat rm doc_0123456789abcdefghjkmnpqrs
  clinchat rm --yes --wait doc_0123456789abcdefghjkmnpqrs doc_srqpnmkjhgfedcba9876543210")]
    Rm(Remove),
    /// Ask a question
    #[command(after_help = "\
Examples:
  clinchat ask How soon must antibiotics be given in sepsis?
  clinchat ask \"Who may visit?\" --documents doc_0123456789abcdefghjkmnpqrs
  clinchat ask \"What is given first?\" --tag sepsis,paediatrics --from 2024-01-01
  clinchat ask --continue And on Sundays?
  clinchat ask \"Who may visit?\" --json | jq -r '.answer[].citations[].page'

Exit code 0: answered; 3: the documents do not answer it.")]
    Ask(Ask),
    /// The audit trail: search it, take parts out, report events; download the sealed one, check it, prove an event
    #[command(subcommand)]
    Audit(crate::commands::audit::Audit),
    /// Read a document as the indexer would, page by page; needs no stack
    #[command(after_help = "\
Examples:
  clinchat extract guideline.pdf                        JSON Lines: {\"page\": 1, \"text\": \"...\"}
  clinchat extract guideline.pdf --format markdown
  clinchat extract guideline.docx --json | jq .title

Exit code 4: it cannot be read; standard error has {\"reason\", \"detail\", \"advice\"} on one line.")]
    Extract(Extract),
    /// Find identifiers of people in text and replace them, or put them back; needs no stack
    #[command(after_help = "\
Examples:
  clinchat deid < in.jsonl > out.jsonl                  {\"id\", \"text\"} -> {\"id\", \"spans\", \"deidentified\"}
  clinchat deid --map map.json in.jsonl > out.jsonl     with the way back
  clinchat deid --restore --map map.json out.jsonl      {\"id\", \"text\", \"unknown\": placeholders that the map does not have}

Offsets are Unicode code points. A line that is no document is reported with its number, the rest is done, exit code 1.")]
    Deid(crate::commands::deid::Deid),
    /// Measure quality on labelled data; needs no stack
    #[command(subcommand)]
    Eval(crate::commands::eval::Eval),
    /// Which engine searches a tenant; for operators with AWS credentials
    #[command(subcommand)]
    Index(crate::commands::index::Index),
    /// The providers' keys: show, add, rotate, go back; for operators with AWS credentials
    #[command(subcommand)]
    Keys(crate::commands::keys::Keys),
    /// Sign in and keep the tokens; for stacks whose profile holds no password
    #[command(after_help = "\
Examples:
  clinchat --profile dev login
  CLINCHAT_PASSWORD=... clinchat --profile dev login --username jo@hospital.example")]
    Login {
        /// The user name (also `CLINCHAT_USERNAME`)
        #[arg(long)]
        username: Option<String>,
    },
    /// Forget the tokens, here and at the stack
    #[command(after_help = "Example:\n  clinchat --profile dev logout")]
    Logout,
    /// Print an identity token for other programs (it is good for minutes; keep it out of logs)
    #[command(after_help = "Example:\n  curl -H \"Authorization: Bearer $(clinchat token)\" \"$API/documents\"")]
    Token,
    /// The stacks that this command knows
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  clinchat completions bash > ~/.local/share/bash-completion/completions/clinchat")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// `--json` alone.
#[derive(Args)]
pub struct JsonFlag {
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `ls`.
#[derive(Args)]
pub struct List {
    /// Only documents with this tag
    #[arg(long, value_parser = Tag::parse)]
    pub tag: Option<Tag>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `edit`.
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "title", "tags", "add_tags", "remove_tags", "no_tags", "date", "no_date", "groups", "everybody",
])))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub struct Edit {
    /// The document
    #[arg(value_parser = DocumentId::parse)]
    pub id: DocumentId,
    /// What people call it
    #[arg(long)]
    pub title: Option<String>,
    /// These tags, and no others
    #[arg(long = "tag", value_delimiter = ',', value_parser = Tag::parse, value_name = "TAG,...", conflicts_with_all = ["add_tags", "remove_tags", "no_tags"])]
    pub tags: Vec<Tag>,
    /// These tags besides those that it has
    #[arg(long = "add-tag", value_delimiter = ',', value_parser = Tag::parse, value_name = "TAG,...", conflicts_with = "no_tags")]
    pub add_tags: Vec<Tag>,
    /// Without these tags
    #[arg(long = "remove-tag", value_delimiter = ',', value_parser = Tag::parse, value_name = "TAG,...", conflicts_with = "no_tags")]
    pub remove_tags: Vec<Tag>,
    /// Without any tag
    #[arg(long)]
    pub no_tags: bool,
    /// The day that it speaks of or is valid from
    #[arg(long, value_parser = parse_date, value_name = "YYYY-MM-DD", conflicts_with = "no_date")]
    pub date: Option<Date>,
    /// Without a date
    #[arg(long)]
    pub no_date: bool,
    /// Only these access groups may see it
    #[arg(long = "group", value_delimiter = ',', value_parser = Group::parse, value_name = "GROUP,...", conflicts_with = "everybody")]
    pub groups: Vec<Group>,
    /// Everybody of the tenant may see it
    #[arg(long)]
    pub everybody: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `show`.
#[derive(Args)]
pub struct One {
    /// The document
    #[arg(value_parser = DocumentId::parse)]
    pub id: DocumentId,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `upload`.
#[derive(Args)]
pub struct Upload {
    /// Files, or folders to look through
    #[arg(required = true, value_name = "FILES")]
    pub paths: Vec<PathBuf>,
    /// What people will call it (one file only); the file's own title or name otherwise
    #[arg(long)]
    pub title: Option<String>,
    /// Labels to find them under
    #[arg(long = "tag", value_delimiter = ',', value_parser = Tag::parse, value_name = "TAG,...")]
    pub tags: Vec<Tag>,
    /// The day that they speak of or are valid from
    #[arg(long, value_parser = parse_date, value_name = "YYYY-MM-DD")]
    pub date: Option<Date>,
    /// Only these access groups may see them; everybody of the tenant otherwise
    #[arg(long = "group", value_delimiter = ',', value_parser = Group::parse, value_name = "GROUP,...")]
    pub groups: Vec<Group>,
    /// Make it the new version of this document (one file only), which keeps its id, title, tags, date and groups
    #[arg(long, value_parser = DocumentId::parse, value_name = "ID", conflicts_with_all = ["title", "tags", "date", "groups"])]
    pub replace: Option<DocumentId>,
    /// Wait until the documents can be searched; this is the default
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Return as soon as the bytes have arrived
    #[arg(long)]
    pub no_wait: bool,
    /// Stop waiting for a document in which nothing has moved for so many seconds
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub patience: u64,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `open`.
#[derive(Args)]
pub struct Open {
    /// The document
    #[arg(value_parser = DocumentId::parse)]
    pub id: DocumentId,
    /// The version, as `clinchat versions` lists them; otherwise the one that answers cite
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Download to this file instead of printing the link
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

/// `rm`.
#[derive(Args)]
pub struct Remove {
    /// The documents
    #[arg(required = true, value_parser = DocumentId::parse, value_name = "ID")]
    pub ids: Vec<DocumentId>,
    /// Wait until nothing of them can be found any more
    #[arg(long)]
    pub wait: bool,
    /// Do not ask first
    #[arg(long, short)]
    pub yes: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `ask`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Ask {
    /// The question; several words need no quotes
    #[arg(required = true, value_name = "QUESTION")]
    pub words: Vec<String>,
    /// Only from these documents
    #[arg(long, value_delimiter = ',', value_parser = DocumentId::parse, value_name = "ID,...")]
    pub documents: Vec<DocumentId>,
    /// Only from documents with one of these tags
    #[arg(long = "tag", value_delimiter = ',', value_parser = Tag::parse, value_name = "TAG,...")]
    pub tags: Vec<Tag>,
    /// Only from documents of this day and later
    #[arg(long, value_parser = parse_date, value_name = "YYYY-MM-DD")]
    pub from: Option<Date>,
    /// Only from documents of this day and earlier
    #[arg(long, value_parser = parse_date, value_name = "YYYY-MM-DD")]
    pub to: Option<Date>,
    /// Go on with a conversation: the id that --json showed
    #[arg(long, value_parser = ConversationId::parse, value_name = "ID")]
    pub conversation: Option<ConversationId>,
    /// Go on with the last conversation
    #[arg(long = "continue", short = 'c', conflicts_with = "conversation")]
    pub continues: bool,
    /// Print each sentence as it comes (as on a terminal)
    #[arg(long)]
    pub stream: bool,
    /// Print the answer when it is whole (as anywhere else)
    #[arg(long, conflicts_with = "stream")]
    pub whole: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `extract`.
#[derive(Args)]
pub struct Extract {
    /// The document
    pub file: PathBuf,
    /// How to print the pages
    #[arg(long, value_enum, default_value_t)]
    pub format: ExtractFormat,
    /// With each page's blocks (headings, paragraphs, list items, table rows) and where they are in the text
    #[arg(long)]
    pub blocks: bool,
    /// One JSON document: {"title", "pages": [{"page", "text"}]}
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Recognise the text of pages that are images, with the tesseract program; languages as it names them
    #[arg(long, value_name = "LANGUAGES", num_args = 0..=1, default_missing_value = "eng")]
    pub ocr: Option<String>,
}

/// How `extract` prints pages.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ExtractFormat {
    /// One line of JSON for each page
    #[default]
    Jsonl,
    /// Markdown; a comment tells where a page begins
    Markdown,
    /// The text alone; pages are separated by a form feed
    Text,
}

/// `profile`.
#[derive(Subcommand)]
pub enum ProfileCommand {
    /// List the profiles and where each is kept
    #[command(after_help = "Example:\n  clinchat profile list")]
    List(JsonFlag),
    /// Add a deployed stack, or replace it
    #[command(after_help = "\
Examples:
  clinchat profile add dev --api-url https://abc.execute-api.eu-north-1.amazonaws.com/v1 --client-id 1h57EXAMPLE --region eu-north-1
  aws cloudformation describe-stacks --stack-name clinchat-dev | clinchat profile add dev --from-outputs -")]
    Add(AddProfile),
}

/// `profile add`.
#[derive(Args)]
pub struct AddProfile {
    /// What to call it
    pub name: String,
    /// Where the API is (output `ApiUrl`)
    #[arg(long, required_unless_present = "from_outputs", value_name = "URL")]
    pub api_url: Option<String>,
    /// Through what to sign in (output `UserPoolClientId`)
    #[arg(long, required_unless_present = "from_outputs", value_name = "ID")]
    pub client_id: Option<String>,
    /// Where the user pool is
    #[arg(long, required_unless_present = "from_outputs")]
    pub region: Option<String>,
    /// Who signs in, if it is always the same person
    #[arg(long)]
    pub username: Option<String>,
    /// Take all of this from the output of `aws cloudformation describe-stacks` (- for standard input)
    #[arg(long, conflicts_with_all = ["api_url", "client_id", "region"], value_name = "FILE")]
    pub from_outputs: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn waiting_is_the_default_and_the_last_word_counts() {
        for (line, waits) in [("f", true), ("--wait f", true), ("--no-wait f", false), ("--no-wait --wait f", true)] {
            let Command::Upload(upload) = parse(&format!("clinchat upload {line}")).unwrap().command else { panic!() };
            assert_eq!(!upload.no_wait, waits, "{line}");
        }
    }

    #[test]
    fn options_of_up_are_handed_on_and_shared_ones_may_come_last() {
        let Command::Up { options } = parse("clinchat up --no-build --no-samples").unwrap().command else { panic!() };
        assert_eq!(options, ["--no-build", "--no-samples"]);
        let arguments = parse("clinchat ask what now --profile dev --as auditor").unwrap();
        assert_eq!((arguments.shared.profile.as_str(), arguments.shared.person.as_deref()), ("dev", Some("auditor")));
    }

    #[test]
    fn wrong_lines_are_refused_before_anything_is_sent() {
        for line in [
            "ask",
            "show nonsense",
            "rm doc_1",
            "ask q --documents x",
            "ask q --from yesterday",
            "ask q --tag a/b",
            "upload f --group access:icu",
            "edit doc_00000000000000000000000000",
            "edit doc_00000000000000000000000000 --tag a --add-tag b",
            "edit doc_00000000000000000000000000 --group icu --everybody",
            "upload",
            "profile add dev",
            "open doc_00000000000000000000000000 --json -o f",
        ] {
            assert!(parse(&format!("clinchat {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn each_command_has_an_example() {
        for command in Arguments::command().get_subcommands().filter(|command| !command.has_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("clinchat {}", command.get_name())) || help.contains(command.get_name()),
                "{}",
                command.get_name()
            );
        }
    }
}
