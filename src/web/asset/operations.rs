//! What an asset offers: the operations of an API by their tags, the tools of a server with their parameters.

use super::frame::Frame;
use super::lines::{Line, cut, tokens};
use super::operation::{Hint, hints};
use super::pages::Tab;
use super::schema_table::{Room, table};
use super::{Asked, answer};
use crate::base::{Cursor, Limit};
use crate::catalog::operation_schema;
use crate::door::Failure;
use crate::web::{Layout, markdown, words};
use crate::wire::{Operation, schema_view};
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};

/// Operations on a page.
const LINES: usize = 40;
/// Tools on a page, each with as many of its parameters as there is room for.
const TOOLS: usize = 20;
/// Tools that are weighed to tell what all of them cost in a prompt.
const WEIGHED: usize = 200;
/// With more headings than this a page reads better without them.
const GROUPS: usize = 10;
/// Bytes the items of a page may have.
const ROOM: usize = 18_500;

#[derive(Template)]
#[template(path = "asset/operations.html")]
struct OperationsPage<'a> {
    layout: Layout,
    frame: &'a Frame,
    groups: Vec<Group>,
    span: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "asset/tools.html")]
struct ToolsPage<'a> {
    layout: Layout,
    frame: &'a Frame,
    items: Vec<Item>,
    /// Estimated tokens of all tools.
    cost: Option<usize>,
    span: String,
    next: Option<String>,
}

/// Operations that stand together under a tag.
struct Group {
    title: Option<String>,
    lines: Vec<Line>,
}

struct Item {
    line: Line,
    anchor: String,
    permanent: String,
    hints: Vec<Hint>,
    about: String,
    parameters: String,
    /// Parameters that are on the tool's own page only.
    folded: usize,
    has_schema: bool,
}

impl Item {
    fn takes(&self) -> &'static str {
        if self.has_schema { "Takes no parameters." } else { "Its parameters are not known." }
    }
}

pub(super) async fn show(asked: Asked, word: &str) -> Result<Response, Failure> {
    let frame = asked.frame(Tab::Operations).await?;
    if word != frame.operations_word() {
        return Ok(Redirect::to(&frame.pages.part(frame.operations_word())).into_response());
    }
    if frame.is_mcp() { tools(asked, &frame).await } else { operations(asked, &frame).await }
}

async fn operations(asked: Asked, frame: &Frame) -> Result<Response, Failure> {
    let from = asked.number("from");
    let page = read(&asked, frame, from, LINES, false).await?;
    let mut room = Room::of(ROOM);
    let mut shown = 0;
    let mut groups: Vec<Group> = Vec::new();
    let mut tag = None;
    for operation in &page {
        let line = Line::of(operation, &frame.pages, frame.asset.kind);
        let size =
            180 + line.href.len() + line.name.len() + line.says.len() + line.path.as_ref().map_or(0, String::len);
        if !room.take(size) {
            break;
        }
        shown += 1;
        let first = operation.tags.first();
        if groups.is_empty() || first != tag {
            groups.push(Group { title: first.map(|tag| cut(tag, 100)), lines: Vec::new() });
            tag = first;
        }
        groups.last_mut().expect("one was pushed").lines.push(line);
    }
    if groups.len() > GROUPS {
        let lines = groups.into_iter().flat_map(|group| group.lines).collect();
        groups = vec![Group { title: None, lines }];
    }
    let page = OperationsPage {
        groups,
        span: span(frame, from, shown),
        next: next(frame, from + shown, shown),
        frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

async fn tools(asked: Asked, frame: &Frame) -> Result<Response, Failure> {
    let from = asked.number("from");
    let weighs_all = frame.operation_count <= WEIGHED as i64;
    let mut page = if weighs_all {
        read(&asked, frame, 0, WEIGHED, true).await?
    } else {
        read(&asked, frame, from, TOOLS, true).await?
    };
    let cost = (weighs_all && !page.is_empty()).then(|| page.iter().map(tokens).sum());
    if weighs_all {
        page = page.into_iter().skip(from).take(TOOLS).collect();
    }

    let mut room = Room::of(ROOM);
    let mut items = Vec::new();
    for tool in &page {
        let item = item(tool, frame, &mut room);
        let size = 600 + item.about.len() + 3 * item.line.name.len() + item.line.href.len() + item.permanent.len();
        if !room.take(size) && !items.is_empty() {
            break;
        }
        items.push(item);
    }
    let shown = items.len();
    let page = ToolsPage {
        cost,
        span: span(frame, from, shown),
        next: next(frame, from + shown, shown),
        items,
        frame,
        layout: asked.layout,
    };
    answer(&page, &asked.headers, page.layout.request_id.as_deref())
}

async fn read(
    asked: &Asked,
    frame: &Frame,
    from: usize,
    limit: usize,
    with_detail: bool,
) -> Result<Vec<Operation>, Failure> {
    if frame.version.is_none() {
        return Ok(Vec::new());
    }
    let (catalog, cursor) = (&asked.handles.catalog, Cursor::of(&from));
    let found = catalog.operations(&asked.layout.actor, frame.path(), Some(&cursor), Limit(limit), with_detail).await?;
    Ok(found.2.items)
}

fn item(tool: &Operation, frame: &Frame, room: &mut Room) -> Item {
    let rows = operation_schema(tool, "inputSchema").map(schema_view::rows).unwrap_or_default();
    let named = rows.iter().filter(|row| row.depth == 0 && !row.name.is_empty()).count();
    // Every item gets its share, so that the last of the page are not bare.
    let mut share = Room::of(2_400);
    let parameters =
        if named == 0 { String::new() } else { table(&format!("Parameters of {}", tool.name), &rows, &mut share) };
    let fits = room.take_html(&parameters);
    let text = tool.description.as_deref().or(tool.summary.as_deref()).unwrap_or_default();
    let (beginning, is_cut) = markdown::beginning(text, 700);
    let line = Line::of(tool, &frame.pages, frame.asset.kind);
    let mut about = markdown::render(beginning);
    if is_cut {
        about.push_str(&format!("<p><a href=\"{}\">Read on</a></p>", line.href));
    }
    Item {
        anchor: crate::door::segment(&tool.name),
        permanent: frame.permanent().one(frame.operations_word(), &tool.name),
        hints: hints(tool),
        has_schema: operation_schema(tool, "inputSchema").is_some(),
        about,
        parameters: if fits { parameters } else { String::new() },
        folded: if fits { 0 } else { named },
        line,
    }
}

fn span(frame: &Frame, from: usize, shown: usize) -> String {
    words::span(from, shown, u64::try_from(frame.operation_count).ok())
}

fn next(frame: &Frame, end: usize, shown: usize) -> Option<String> {
    let is_more = shown > 0 && i64::try_from(end).is_ok_and(|end| end < frame.operation_count);
    is_more.then(|| frame.pages.part(&format!("{}?from={end}", frame.operations_word())))
}
