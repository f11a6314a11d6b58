//! Nothing invisible leaks: for random catalogs and random people, every door gives exactly what the rules say.
//!
//! The rules are told once more in [`rules`]. A round gives every asset
//! another visibility, sharing and state of approval, and everybody other roles and groups; then each door is asked.

mod rules;

use crate::support::{Dice, Person, TestApp};
use rules::{Thing, Who};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wharfinger::auth::Actor;
use wharfinger::base::{AssetId, Slug};

const ROUNDS: u64 = 500;
const WORKSPACES: [&str; 3] = ["default", "north", "south"];
const GROUPS: [&str; 3] = ["crew", "mates", "pilots"];
const ROLES: [&str; 6] = ["reader", "consumer", "publisher", "reviewer", "compliance", "administrator"];
const ASSETS: usize = 9;

async fn harbour(app: &TestApp) -> Vec<Thing> {
    let system = Actor::system("test");
    let catalog = &app.handles.catalog;
    let mut things = Vec::new();
    for at in 0..ASSETS {
        let workspace = WORKSPACES[at % 3];
        catalog.ensure_workspace(&system, &Slug::parse(workspace).unwrap(), workspace).await.unwrap();
        let is_server = at % 3 != 1 || at > 5;
        // The first three servers have namesakes in other workspaces: who does not see the one sees the other.
        let name = match at {
            0 | 2 | 7 => "com.example/twin".to_owned(),
            _ => format!("com.example/thing{at}"),
        };
        let word =
            format!("quay{}", ["alpha", "bravo", "delta", "kilo", "lima", "oscar", "tango", "victor", "zulu"][at]);
        let new = |version: &str| {
            json!({"name": name, "kind": if is_server { "mcp" } else { "rest" }, "title": word, "tags": [format!("tag-{word}")],
                   "summary": format!("The {word} of the harbour"), "owners": [format!("owner-{word}")],
                   "version": {"name": version}, "operations": [{"name": format!("call_{word}")}],
                   "deployments": [{"url": format!("https://{word}.example/mcp"), "transport": "streamable-http"}]})
        };
        let made = catalog.register(&system, workspace, serde_json::from_value(new("1.0.0")).unwrap()).await.unwrap();
        let mut second = new("2.0.0");
        second.as_object_mut().unwrap().remove("name");
        catalog.publish_version(&system, workspace, &name, serde_json::from_value(second).unwrap()).await.unwrap();
        let id = made.asset.asset_id.0;
        things.push(Thing {
            id,
            workspace,
            name,
            word,
            is_server,
            visibility: "public",
            shared_with: Vec::new(),
            approved: [true, true],
        });
    }
    // Half of them are compared by their vectors, the others by words.
    let some: Vec<AssetId> = things.iter().step_by(2).map(|thing| AssetId(thing.id)).collect();
    app.handles.search.on_assets_changed(&some).await.unwrap();
    things
}

/// Another state of everything, stored past the verbs, and told to the index and the caches as a commit does.
async fn shuffle(app: &TestApp, dice: &mut Dice, things: &mut [Thing], people: &mut BTreeMap<&'static str, Who>) {
    let mut tx = app.handles.db.write.begin().await.unwrap();
    for thing in things.iter_mut() {
        thing.visibility = ["public", "internal", "private"][dice.place(3)];
        thing.shared_with = dice.some_of(&GROUPS);
        thing.approved = [!dice.once_in(3), !dice.once_in(3)];
        sqlx::query(
            "with versions as (
                 update version set is_approved = case name when '1.0.0' then $4 else $5 end, is_latest = false
                 where asset_id = $1),
             line as (insert into change (at, workspace_id, asset_id, verb)
                      select now(), workspace_id, asset_id, 'update' from asset where asset_id = $1)
             update asset set visibility = $2, shared_with = $3, is_approved = $4 or $5 where asset_id = $1",
        )
        .bind(thing.id)
        .bind(thing.visibility)
        .bind(&thing.shared_with)
        .bind(thing.approved[0])
        .bind(thing.approved[1])
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query("update version set is_latest = true where asset_id = $1 and name = $2")
            .bind(thing.id)
            .bind(thing.latest())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    for statement in ["delete from role_assignment", "delete from user_group_member"] {
        sqlx::query(statement).execute(&mut *tx).await.unwrap();
    }
    for (name, who) in people.iter_mut() {
        *who = Who { signed_in: !name.is_empty(), groups: dice.some_of(&GROUPS), ..Who::default() };
        if !who.signed_in {
            who.groups.clear();
            continue;
        }
        for group in &who.groups {
            sqlx::query(
                "insert into user_group_member (group_id, user_id, since)
                 select group_id, user_id, now() from user_group g, user_account u where g.name = $1 and u.name = $2",
            )
            .bind(group)
            .bind(*name)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        for _ in 0..dice.place(3) {
            let role = ROLES[dice.place(ROLES.len())];
            let (workspace, asset) = match dice.place(12) {
                0 => (None, None),
                1..=6 => (Some(WORKSPACES[dice.place(3)]), None),
                _ => {
                    let thing = &things[dice.place(things.len())];
                    (Some(thing.workspace), Some(thing.id))
                }
            };
            // A third of the roles is held through a group.
            let through = who.groups.first().filter(|_| dice.once_in(3)).cloned();
            match (workspace, asset) {
                (None, _) => who.everything = true,
                (Some(workspace), None) => who.workspaces.push(workspace),
                (_, Some(asset)) => who.assets.push(asset),
            }
            let holder = match &through {
                Some(_) => "group_id",
                None => "user_id",
            };
            let statement = format!(
                "insert into role_assignment (role_assignment_id, role, {holder}, workspace_id, asset_id, created_at, created_by)
                 select $1, $2, h.{holder}, (select workspace_id from workspace where name = $4), $5, now(), 'test'
                 from {} h where h.name = $3
                 on conflict do nothing",
                if through.is_some() { "user_group" } else { "user_account" },
            );
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(uuid::Uuid::now_v7())
                .bind(role)
                .bind(through.as_deref().unwrap_or(name))
                .bind(workspace)
                .bind(asset)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
    }
    // What a group holds all of its members hold.
    let held: Vec<(String, Option<String>, Option<uuid::Uuid>)> = sqlx::query_as(
        "select g.name, w.name, r.asset_id
         from role_assignment r join user_group g using (group_id) left join workspace w on w.workspace_id = r.workspace_id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    for who in people.values_mut() {
        for (_, workspace, asset) in held.iter().filter(|(group, ..)| who.groups.contains(group)) {
            match (workspace, asset) {
                (None, _) => who.everything = true,
                (_, Some(asset)) => who.assets.push(*asset),
                (Some(workspace), None) => {
                    who.workspaces.extend(WORKSPACES.into_iter().filter(|known| known == workspace));
                }
            }
        }
    }
    tx.commit().await.unwrap();
    app.handles.search.catch_up().await.unwrap();
    app.handles.catalog.generations().everything_changed();
}

fn words(items: &Value, member: &str) -> BTreeSet<String> {
    items.as_array().unwrap().iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

/// What every door gives this person, against the rules.
async fn compare(app: &TestApp, person: &Person<'_>, who: &Who, things: &[Thing], round: &str) {
    let seen: Vec<&Thing> = things.iter().filter(|thing| who.sees(thing)).collect();
    let expected: BTreeSet<String> = seen.iter().map(|thing| thing.word.clone()).collect();
    let get = async |path: &str| person.get(path).await;

    let list = get("/api/v1/assets?limit=100").await.expect(200).json();
    assert_eq!(
        (words(&list["items"], "title"), &list["total"]),
        (expected.clone(), &json!(expected.len())),
        "list {round}"
    );

    let search = get("/api/v1/search?q=&limit=50").await.expect(200).json();
    assert_eq!(
        (words(&search["items"], "title"), &search["total"]),
        (expected.clone(), &json!(expected.len())),
        "search {round}"
    );
    for (facet, values) in search["facets"].as_object().unwrap() {
        let of = |thing: &&Thing| -> Option<String> {
            match facet.as_str() {
                "workspace" => Some(thing.workspace.to_owned()),
                "kind" => Some(if thing.is_server { "mcp" } else { "rest" }.to_owned()),
                "tag" => Some(format!("tag-{}", thing.word)),
                "owner" => Some(format!("owner-{}", thing.word)),
                _ => None,
            }
        };
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        seen.iter().filter_map(of).for_each(|value| *counts.entry(value).or_default() += 1);
        let told: BTreeMap<String, u64> = values
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["value"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap()))
            .collect();
        if !counts.is_empty() {
            assert_eq!(told, counts, "facet {facet} {round}");
        }
    }
    let found = get("/api/v1/search?q=quay&limit=50").await.expect(200).json();
    assert!(words(&found["items"], "title").is_subset(&expected), "search by word {round}: {found}");
    for thing in seen.first().into_iter().chain(seen.last()) {
        let name = thing.name.replace('/', "%2F");
        let path = format!("/api/v1/workspaces/{}/assets/{name}/similar?limit=20", thing.workspace);
        let similar = words(&get(&path).await.expect(200).json()["items"], "title");
        assert!(similar.is_subset(&expected) && !similar.contains(&thing.word), "similar {round}: {similar:?}");
        let page = get(&format!("/assets/{}/{name}", thing.workspace)).await.expect(200).text;
        let hidden = things.iter().find(|one| !expected.contains(&one.word) && page.contains(&one.word));
        assert!(hidden.is_none(), "page of {} {round}: {hidden:?}", thing.word);
    }
    let suggested = get("/api/v1/search/suggest?q=quay&limit=20").await.expect(200).text;
    let feed = get("/feed.atom").await.expect(200).text;
    let workspaces = words(&get("/api/v1/workspaces").await.expect(200).json()["items"], "name");
    for thing in things {
        let may = expected.contains(&thing.word);
        assert!(may || !suggested.contains(&thing.word), "suggestion {} {round}", thing.word);
        assert!(may || !feed.contains(&thing.word), "feed {} {round}", thing.word);
    }
    for workspace in WORKSPACES {
        let known = who.everything
            || who.workspaces.contains(&workspace)
            || seen.iter().any(|thing| thing.workspace == workspace);
        assert_eq!(workspaces.contains(workspace), known, "workspace {workspace} {round}");
    }

    // The registry: every version of every server that is seen; a name that several have is shown once.
    let mut servers: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut shown: BTreeMap<&str, &Thing> = BTreeMap::new();
    let mut in_order: Vec<&&Thing> = seen.iter().filter(|thing| thing.is_server).collect();
    in_order.sort_by_key(|thing| (thing.workspace != "default", thing.workspace));
    for thing in in_order {
        shown.entry(&thing.name).or_insert(thing);
    }
    for (name, thing) in &shown {
        for version in who.versions(thing) {
            servers.insert(((*name).to_owned(), version.to_owned(), thing.word.clone()));
        }
    }
    let entries = |answer: Value| -> BTreeSet<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = answer["servers"].as_array().unwrap().iter();
        all.map(|one| (text(&one["server"]["name"]), text(&one["server"]["version"]), text(&one["server"]["title"])))
            .collect()
    };
    for query in ["?limit=100", "?limit=100&updated_since=2020-01-01T00:00:00Z", "?limit=100&include_deleted=true"] {
        let told = entries(get(&format!("/v0.1/servers{query}")).await.expect(200).json());
        assert_eq!(told, servers, "registry {query} {round}");
    }

    // Foreign names answer as those that do not exist.
    let (namespace, absent) = ("com.example/", "com.example/nothing");
    for thing in things {
        let path = |name: &str| format!("/api/v1/workspaces/{}/assets/{}", thing.workspace, name.replace('/', "%2F"));
        let answer = get(&path(&thing.name)).await;
        if who.sees(thing) {
            let detail = answer.expect(200).json();
            let versions = who.versions(thing);
            assert_eq!(detail["versionCount"], versions.len(), "versions of {} {round}", thing.word);
            let latest = versions.contains(&thing.latest()).then(|| json!(thing.latest()));
            assert_eq!(detail.pointer("/version/name"), latest.as_ref(), "latest of {} {round}", thing.word);
            let hidden = get(&format!("{}/versions/2.0.0", path(&thing.name))).await;
            assert_eq!(hidden.status == 200, versions.contains(&"2.0.0"), "2.0.0 of {} {round}", thing.word);
        } else {
            let missing = get(&path(absent)).await.expect(404);
            let same = |answer: &Text, name: &str| answer.0.replace(name, "NAME");
            let one = same(&Text::of(&answer.expect(404).json()), thing.name.trim_start_matches(namespace));
            let other = same(&Text::of(&missing.json()), "nothing");
            assert_eq!(one, other, "{} {round}", thing.word);
        }
    }
    let named = things.iter().find(|thing| !who.sees(thing) && !shown.contains_key(thing.name.as_str()));
    let call = async |tool: &str, arguments: Value| -> Value {
        let request = person
            .request(reqwest::Method::POST, "/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        person.send(request.json(&message)).await.json()["result"].clone()
    };
    let hits = call("search_catalog", json!({"query": "", "limit": 50})).await;
    assert_eq!(hits["structuredContent"]["total"], json!(expected.len()), "mcp {round}");
    let told = hits.to_string();
    for thing in things.iter().filter(|thing| !expected.contains(&thing.word)) {
        assert!(!told.contains(&thing.word), "mcp {} {round}", thing.word);
    }
    if let Some(thing) = named {
        let hidden = call("describe_asset", json!({"name": thing.name})).await.to_string();
        let absent = call("describe_asset", json!({"name": absent})).await.to_string();
        let slug = thing.name.trim_start_matches(namespace);
        assert_eq!(hidden.replace(slug, "nothing"), absent, "describe {} {round}", thing.word);
    }
    let _ = app;
}

/// A problem's text without what is different in every answer.
struct Text(String);

impl Text {
    fn of(problem: &Value) -> Self {
        let mut problem = problem.clone();
        problem.as_object_mut().unwrap().remove("requestId");
        Self(problem.to_string())
    }
}

#[tokio::test]
async fn every_door_gives_each_what_the_rules_say_and_nothing_more() {
    let app = TestApp::start().await;
    let mut things = harbour(&app).await;
    for group in GROUPS {
        app.group(group, &[]).await;
    }
    let mut people: BTreeMap<&'static str, Who> = BTreeMap::new();
    let mut keys: BTreeMap<&'static str, Person<'_>> = BTreeMap::new();
    for name in ["", "anna", "bert", "cleo", "dora"] {
        people.insert(name, Who::default());
        keys.insert(name, if name.is_empty() { app.stranger() } else { app.person(name).await });
    }
    app.handles.search.catch_up().await.unwrap();
    let rounds = std::env::var("WHARFINGER_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let mut dice = Dice::new(20_260_301);

    for round in 0..rounds {
        shuffle(&app, &mut dice, &mut things, &mut people).await;
        // Everybody in turn, two a round: each catalog is another one, and each sees a hundred and more.
        let names: Vec<&str> = people.keys().copied().collect();
        for at in [round as usize % 5, (round as usize + 2) % 5] {
            let (who, person) = (&people[names[at]], &keys[names[at]]);
            settled(&app, person, who).await;
            let label = format!("round {round}, {:?}: {who:?}\n{things:#?}", names[at]);
            compare(&app, person, who, &things, &label).await;
        }
    }
}

/// Waits until the program was told of the roles: it hears of them by a notification.
async fn settled(app: &TestApp, person: &Person<'_>, who: &Who) {
    for _ in 0..400 {
        let actor = app.actor(person).await;
        let sight = actor.sight();
        let groups: BTreeSet<&String> = sight.groups.iter().collect();
        let is_so = sight.everything == who.everything
            && groups == who.groups.iter().collect()
            && sight.workspaces.len() == who.workspaces.iter().collect::<BTreeSet<_>>().len()
            && sight.assets.iter().map(|id| id.0).collect::<BTreeSet<_>>() == who.assets.iter().copied().collect();
        if is_so {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the program does not know {who:?}");
}
