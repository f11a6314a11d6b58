//! The Rust SDK's client, in both eras.

use super::harbour;
use rmcp::model::{CallToolRequestParams, ProtocolVersion, ReadResourceRequestParams};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ServiceExt, model::ClientConfig};

#[tokio::test]
async fn it_lists_calls_and_reads() {
    let app = harbour().await;

    let transport = StreamableHttpClientTransport::from_uri(format!("{}/mcp", app.url));
    let client = ClientConfig::default().serve(transport).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    let arguments = serde_json::json!({"query": "payments"}).as_object().unwrap().clone();
    let called =
        client.call_tool(CallToolRequestParams::new("search_catalog").with_arguments(arguments)).await.unwrap();
    let resources = client.list_all_resources().await.unwrap();
    let read = client.read_resource(ReadResourceRequestParams::new("catalog://default/payments")).await.unwrap();

    assert!(ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).eq(wharfinger::wire::mcp::VERSIONS));
    assert_eq!(tools.len(), 5);
    assert_eq!(called.structured_content.unwrap()["items"][0]["name"], "payments");
    assert_eq!(resources.len(), 2);
    assert_eq!(read.contents.len(), 1);
    client.cancel().await.unwrap();
}
