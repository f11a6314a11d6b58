//! The model on this machine: ONNX Runtime, loaded once from an explicit file, and fastembed on top.

use super::{DIMENSIONS, Unavailable, Vector, pool::Model, to_unit};
use fastembed::{
    EmbeddingModel, InitOptionsUserDefined, Pooling, TextEmbedding, TextInitOptions, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use ort::{
    environment::Environment,
    ep::{CPU, ExecutionProviderDispatch},
};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

/// The model was trained on texts of up to 256 word pieces; what follows is cut off.
const WORD_PIECES: usize = 256;
const NAME: &str = "all-MiniLM-L6-v2";

/// Where the model and its runtime are.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// A folder with `model.onnx`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `config.json`.
    pub model_dir: Option<PathBuf>,
    /// The ONNX Runtime library, 1.24 or newer. Unset: `ORT_DYLIB_PATH`, else `libonnxruntime.so` on the library path.
    pub runtime: Option<PathBuf>,
    /// Without `model_dir`: where a model fetched from the hub is kept. Unset: nothing is fetched.
    pub hub_cache: Option<PathBuf>,
}

impl Source {
    /// The name of the vector space: the folder's, since another model may lie there, and the length of what lies there,
    /// since the weights of one model may be exact or rounded, and vectors of the two are alike but not the same.
    pub(super) fn name(&self) -> String {
        let Some(folder) = &self.model_dir else { return NAME.to_owned() };
        let name = folder.file_name().map_or(NAME.into(), |name| name.to_string_lossy());
        let length = std::fs::metadata(folder.join("model.onnx")).map_or(0, |file| file.len());
        format!("{name}/{length}")
    }
}

/// Loads the model and tries it; about 0.3 s and 75 MB with rounded weights, twice that with exact ones.
///
/// # Errors
/// A sentence that names the file or the step that failed.
pub(super) fn open(source: &Source) -> Result<Box<Model>, String> {
    let mut model = match (&source.model_dir, &source.hub_cache) {
        (Some(folder), _) => from_folder(folder, source.runtime.as_deref())?,
        (None, Some(cache)) => from_hub(cache, source.runtime.as_deref())?,
        (None, None) => {
            return Err("no embedding model is prepared; run scripts/setup, or set model_hub or model_dir".to_owned());
        }
    };
    let mut run = move |texts: &[String]| -> Result<Vec<Vector>, Unavailable> {
        // One at a time: rounded weights meet activations that are scaled over a whole batch, and a text's vector should
        // not depend on its neighbours. Nothing is padded either.
        let made = model.embed(texts, Some(1)).map_err(|error| Unavailable(format!("the model failed: {error}")))?;
        Ok(made.into_iter().map(to_unit).collect())
    };
    let tried = run(&["warm up".to_owned()]).map_err(|error| error.0)?;
    match tried.first().map(|vector| vector.len()) {
        Some(DIMENSIONS) => Ok(Box::new(run)),
        other => Err(format!("the model gives {} numbers a text, {DIMENSIONS} are needed", other.unwrap_or(0))),
    }
}

fn from_folder(folder: &Path, runtime: Option<&Path>) -> Result<TextEmbedding, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let model = UserDefinedEmbeddingModel::new(
        read("model.onnx")?,
        TokenizerFiles {
            tokenizer_file: read("tokenizer.json")?,
            config_file: read("config.json")?,
            special_tokens_map_file: read("special_tokens_map.json")?,
            tokenizer_config_file: read("tokenizer_config.json")?,
        },
    )
    .with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment(runtime)?)
        .with_execution_providers(providers())
        .with_session_config("session.intra_op.allow_spinning", "0")
        .with_max_length(WORD_PIECES)
        .with_intra_threads(1);
    TextEmbedding::try_new_from_user_defined(model, options)
        .map_err(|error| format!("the model in {} cannot be loaded: {error}", folder.display()))
}

fn from_hub(cache: &Path, runtime: Option<&Path>) -> Result<TextEmbedding, String> {
    let options = TextInitOptions::new(EmbeddingModel::AllMiniLML6V2)
        .with_environment(environment(runtime)?)
        .with_execution_providers(providers())
        .with_session_config("session.intra_op.allow_spinning", "0")
        .with_cache_dir(cache.to_owned())
        .with_max_length(WORD_PIECES)
        .with_intra_threads(1)
        .with_show_download_progress(false);
    TextEmbedding::try_new(options).map_err(|error| format!("the model cannot be had from the hub: {error}"))
}

/// Without the arena: it keeps the memory of the largest batch for ever, 100 MB after a bulk load.
fn providers() -> Vec<ExecutionProviderDispatch> {
    vec![CPU::default().with_arena_allocator(false).build()]
}

/// The runtime's environment, of which a process can have one.
fn environment(runtime: Option<&Path>) -> Result<Environment, String> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = &*environment {
        return Ok(known.clone());
    }
    let path = runtime
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from))
        .unwrap_or_else(|| "libonnxruntime.so".into());
    // With an explicit file a missing library is an error; the crate's own search for one panics.
    let made = ort::init_from(&path)
        .map_err(|error| format!("ONNX Runtime cannot be loaded from {}: {error}", path.display()))?
        .build()
        .map_err(|error| format!("ONNX Runtime from {} does not start: {error}", path.display()))?;
    Ok(environment.insert(made).clone())
}
