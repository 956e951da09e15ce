//! `index`: which engine searches a tenant, and the move from one to the other. Works on the stack's own tables and buckets
//! with the operator's AWS credentials, not through the API: it is for whoever runs the stack, for every tenant.

use crate::display::Screen;
use crate::display::measure::count;
use crate::display::progress::Bar;
use crate::outcome::Outcome;
use crate::profile::Found;
use ::index::ManifestCatalogue;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use domain::ids::TenantId;
use domain::scale::{CHUNKS_CEILING, Catalogue as _, Engine, EngineRegistry as _};
use objects::Bucket;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use store::EngineRows;
use vectors::{Checked, Migration, VectorBucket};

/// A write of 500 vectors with their texts is a few megabytes.
const ATTEMPT: Duration = Duration::from_mins(1);

/// `index`.
#[derive(Subcommand)]
pub enum Index {
    /// Which engine searches a tenant, how many documents and passages it has, how far a copy is
    #[command(after_help = "\
Example:
  clinchat --profile dev index status --tenant main

Needs AWS credentials in the environment, and a profile made with `profile add --from-outputs`.")]
    Status(Status),
    /// Move a tenant to Amazon S3 Vectors, or back to its segments
    #[command(after_help = "\
Examples:
  clinchat --profile dev index migrate --tenant main --to vectors
  clinchat --profile dev index migrate --tenant main --to segments

Copies, counts every vector, asks for some of them, and only then lets searches use them. Ctrl-C is safe at any moment: the
same line goes on where it was. On a tenant that is there already it checks again and removes what nothing points at.")]
    Migrate(Migrate),
}

/// `index status`.
#[derive(Args)]
pub struct Status {
    /// The tenant
    #[arg(long, value_parser = TenantId::parse)]
    pub tenant: TenantId,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// `index migrate`.
#[derive(Args)]
pub struct Migrate {
    /// The tenant
    #[arg(long, value_parser = TenantId::parse)]
    pub tenant: TenantId,
    /// Where it is to be searched
    #[arg(long, value_enum)]
    pub to: Target,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// An engine to move to.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Amazon S3 Vectors
    Vectors,
    /// The segments, in the functions' memory
    Segments,
}

/// The stack's own stores.
struct Stores {
    objects: Arc<Bucket>,
    catalogue: ManifestCatalogue<Bucket>,
    engines: EngineRows,
    bucket: Option<VectorBucket>,
}

impl Stores {
    async fn open(found: &Found) -> Result<Self> {
        let profile = &found.profile;
        let output = |name: &str| profile.outputs.get(name).filter(|value| !value.is_empty());
        let needed = |name: &str| {
            let missing = || format!("The profile {} has no {name}: add it again with `profile add --from-outputs`.", found.name);
            output(name).cloned().with_context(missing)
        };
        let sdk = runtime::aws::sdk_config_of(ATTEMPT, &profile.region, profile.endpoint.as_deref()).await?;
        let objects = Arc::new(Bucket::new(&sdk, needed("IndexBucket")?));
        let model = embed::MODEL_ID.to_owned();
        Ok(Self {
            catalogue: ManifestCatalogue::new(objects.clone(), model.clone()),
            objects,
            engines: EngineRows::new(&sdk, needed("DocumentsTable")?),
            bucket: output("VectorBucket").map(|name| VectorBucket::new(&sdk, name.clone(), model)),
        })
    }
}

/// Shows or moves.
pub fn run(index: &Index, found: &Found, screen: &mut Screen) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stores = Stores::open(found).await?;
        match index {
            Index::Status(asked) => status(asked, &stores, screen).await,
            Index::Migrate(asked) => migrate(asked, &stores, screen).await,
        }
    })
}

async fn status(asked: &Status, stores: &Stores, screen: &mut Screen) -> Result<Outcome> {
    let state = stores.engines.engine(&asked.tenant).await?;
    let currents = stores.catalogue.currents(&asked.tenant).await?;
    let chunks = |counted: &dyn Fn(&domain::ids::DocumentId) -> bool| -> u64 {
        currents.iter().filter(|(id, _)| counted(id)).map(|(_, current)| u64::from(current.chunks)).sum()
    };
    let total = chunks(&|_| true);
    let copied = state.copied_to.as_ref().map(|to| chunks(&|id| id <= to));
    if asked.json {
        screen.json(&json!({
            "tenant": asked.tenant, "engine": state.engine.as_str(), "documents": currents.len(), "passages": total,
            "copied_passages": copied, "ceiling": CHUNKS_CEILING, "has_vector_bucket": stores.bucket.is_some(),
        }))?;
        return Ok(Outcome::Done);
    }
    screen.line(format!("{}: {}, {}", asked.tenant, count(currents.len(), "document"), count(total as usize, "passage")))?;
    screen.line(match state.engine {
        Engine::Segments => "searched in segments".to_owned(),
        Engine::Copying => format!("searched in segments; {} of {total} passages copied to vectors", copied.unwrap_or(0)),
        Engine::Vectors => "searched in vectors".to_owned(),
    })?;
    if state.engine == Engine::Segments && total > CHUNKS_CEILING {
        screen.note(format!(
            "That is more than {CHUNKS_CEILING} passages: `clinchat index migrate --to vectors` keeps cold starts short."
        ));
    }
    Ok(Outcome::Done)
}

async fn migrate(asked: &Migrate, stores: &Stores, screen: &mut Screen) -> Result<Outcome> {
    let Some(bucket) = &stores.bucket else {
        bail!("The stack has no vector bucket: deploy it with the parameter ScaleOut=on, and add the profile again.");
    };
    let tenant = &asked.tenant;
    let migration =
        Migration { bucket, catalogue: &stores.catalogue, engines: &stores.engines, objects: stores.objects.as_ref() };
    let bar = Bar::alone(screen, tenant.as_str());
    if asked.to == Target::Segments {
        bar.doing("going back");
        migration.back(tenant).await?;
        drop(bar);
        return tell(asked, None, screen);
    }
    let mut state = migration.begin(tenant).await?;
    while state.engine == Engine::Copying {
        let step = migration.step(tenant, &mut state).await?;
        bar.done("copying", step.done, step.total);
        if step.is_last {
            break;
        }
    }
    bar.doing("counting and asking");
    let checked = migration.finish(tenant, &state).await?;
    drop(bar);
    tell(asked, Some(&checked), screen)
}

fn tell(asked: &Migrate, checked: Option<&Checked>, screen: &mut Screen) -> Result<Outcome> {
    let engine = if asked.to == Target::Vectors { "vectors" } else { "segments" };
    if asked.json {
        let checked = checked.map(|c| {
            json!({ "passages": c.chunks, "vectors": c.vectors, "orphans_removed": c.orphans, "asked": c.asked, "found": c.found })
        });
        screen.json(&json!({ "tenant": asked.tenant, "engine": engine, "checked": checked }))?;
        return Ok(Outcome::Done);
    }
    if let Some(c) = checked {
        screen.line(format!("{} passages, {} vectors, {} of {} asked for were found", c.chunks, c.vectors, c.found, c.asked))?;
    }
    screen.line(format!("{} is searched in {engine}", asked.tenant))?;
    Ok(Outcome::Done)
}
