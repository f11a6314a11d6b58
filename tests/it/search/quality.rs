use crate::support::shared;
use serde_json::Value;
use std::{collections::HashMap, fs, path::Path};
use wharfinger::auth::Sight;
use wharfinger::base::{AssetId, WorkspaceId};
use wharfinger::catalog::{Card, Kind, Mark, Searchable, SearchableOperation, Visibility};
use wharfinger::search::{
    Sort, document,
    lexical::Home,
    query,
    rank::{Ask, Holdings, Words},
};

/// The least mean nDCG@10 by words alone; with vectors the bar is higher, and measured over HTTP.
const LEAST: [(&str, f64); 3] = [("mcp", 0.52), ("plugin", 0.53), ("keyword", 0.50)];

#[test]
fn words_alone_rank_the_reference_sets_well() {
    let Some(shared) = shared() else { return };
    for (set, least) in LEAST {
        let reached = mean_ndcg(&shared.join("corpus/search-eval/dev").join(set));
        assert!(reached >= least, "{set}: {reached:.3}, at least {least} is expected");
    }
}

fn mean_ndcg(set: &Path) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut index = Home::take(folder.path()).unwrap().create("test").unwrap();
    let mut holdings = Holdings::default();
    let mut names = HashMap::new();
    for line in fs::read_to_string(set.join("corpus.jsonl")).unwrap().lines() {
        let asset = asset(&serde_json::from_str(line).unwrap());
        index.put(asset.card.asset_id, &document::fields(&asset)).unwrap();
        holdings.roster.put(&asset.card);
        names.insert(asset.card.asset_id, asset.card.name);
    }
    index.commit(Mark::default()).unwrap();
    let snapshot = index.snapshot(|id| holdings.roster.slot(id)).unwrap();

    let mut judged: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in fs::read_to_string(set.join("qrels.tsv")).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let grades = judged.entry(columns[0].to_owned()).or_default();
        grades.insert(columns[1].to_owned(), columns[2].parse().unwrap());
    }
    let sight = Sight::of_everything();
    let mut reached = Vec::new();
    for line in fs::read_to_string(set.join("queries.jsonl")).unwrap().lines() {
        let query: Value = serde_json::from_str(line).unwrap();
        let Some(grades) = judged.get(query["qid"].as_str().unwrap()) else { continue };
        let parsed = query::parse(query["text"].as_str().unwrap(), |_| false);
        let ask = Ask {
            parsed: &parsed,
            filters: &[],
            sort: Sort::Relevance,
            is_open: false,
            sight: &sight,
            words: Words::Index(&snapshot),
            vector: None,
            counts: false,
            after: None,
            limit: 10,
        };
        let page = holdings.rank(&ask).unwrap().page;
        let gains = page.iter().map(|ranked| grades.get(&names[&ranked.id]).copied().unwrap_or(0.0));
        let mut ideal: Vec<f64> = grades.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        reached.push(discounted(gains) / discounted(ideal.into_iter().take(10)));
    }
    reached.iter().sum::<f64>() / reached.len() as f64
}

fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    gains.enumerate().map(|(rank, gain)| gain / (rank as f64 + 2.0).log2()).sum()
}

fn asset(line: &Value) -> Searchable {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let operations = line["tools"].as_array().unwrap().iter().map(|tool| SearchableOperation {
        name: tool["name"].as_str().unwrap().to_owned(),
        title: None,
        method: None,
        path: None,
        summary: None,
        description: tool["description"].as_str().map(str::to_owned),
    });
    let card = Card {
        asset_id: AssetId::new(),
        workspace_id: WorkspaceId::new(),
        workspace: "default".to_owned(),
        name: text("name"),
        registry_name: text("name"),
        kind: Kind::Rest,
        title: text("title"),
        summary: String::new(),
        visibility: Visibility::Public,
        shared_with: Vec::new(),
        is_approved: true,
        tags: line["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect(),
        owners: Vec::new(),
        version: None,
        stage: None,
        status: None,
        format_name: None,
        operations: 0,
        transports: Vec::new(),
        environments: Vec::new(),
        icons: sqlx::types::Json(Vec::new()),
        metadata: sqlx::types::Json(serde_json::Map::new()),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
        updated_at: time::OffsetDateTime::UNIX_EPOCH,
    };
    Searchable { operations: operations.collect(), description: text("description"), card }
}
