//! The whole-system tests. From the cheapest to the dearest: `tidy` and `template` read files, `functions` sends events
//! through the handlers with fakes behind them, `llm` calls the doubles of language models over real sockets, `local` deploys the template into a local AWS of its own and uses it as
//! people do.

mod functions;
mod keys;
mod llm;
mod local;
mod money;
mod repository;
mod template;
mod tidy;
