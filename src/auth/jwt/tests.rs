//! Tokens signed here with a fresh key, then bent one way at a time.

use super::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const ISSUER: &str = "https://login.example";

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
    }

    fn keys(&self, id: &str) -> KeySet {
        let point = self.0.public_key().as_ref();
        let key = json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])});
        KeySet::read(json!({"keys": [key, {"kty": "unheard of"}]}).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "alice", "aud": ["https://wharf.example"], "exp": NOW.unix_timestamp() + 60})
}

fn judged(keys: &KeySet, text: &str) -> Result<Claims, Refusal> {
    let rules = Rules {
        issuer: ISSUER,
        algorithms: &["ES256".to_owned()],
        audiences: &["https://wharf.example".to_owned()],
        skew: Duration::from_secs(30),
        subject_may_be_absent: false,
    };
    let token = Token::read(text)?;
    token.require_type(&["at+jwt".to_owned()])?;
    token.verify(keys, &rules, NOW)
}

const HEADER: &str = r#"{"alg":"ES256","kid":"one","typ":"at+jwt"}"#;

#[test]
fn an_honest_token_is_believed() {
    let signer = Signer::new();

    let claims = judged(&signer.keys("one"), &signer.sign(HEADER, &claims().to_string())).unwrap();

    assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), (ISSUER, "alice"));
}

#[test]
fn each_wrong_claim_is_refused() {
    let signer = Signer::new();
    let now = NOW.unix_timestamp();

    for (name, value, refusal) in [
        ("iss", json!("https://login.example/"), Refusal::Issuer),
        ("iss", json!("https://evil.example"), Refusal::Issuer),
        ("aud", json!("https://other.example"), Refusal::Audience),
        ("aud", json!(["a", "b"]), Refusal::Audience),
        ("aud", Value::Null, Refusal::Audience),
        ("exp", json!(now - 31), Refusal::Expired),
        ("exp", Value::Null, Refusal::Claim("exp")),
        ("exp", json!("tomorrow"), Refusal::Claim("exp")),
        ("nbf", json!(now + 31), Refusal::Early),
        ("iat", json!(now + 31), Refusal::Early),
        ("sub", json!(""), Refusal::Claim("sub")),
        ("sub", json!(7), Refusal::Claim("sub")),
    ] {
        let mut bent = claims();
        bent[name] = value.clone();
        let outcome = judged(&signer.keys("one"), &signer.sign(HEADER, &bent.to_string()));
        assert_eq!(outcome, Err(refusal), "{name} = {value}");
    }
    for (name, value) in [("exp", now - 29), ("nbf", now + 29), ("iat", now + 29)] {
        let mut bent = claims();
        bent[name] = json!(value);
        assert!(judged(&signer.keys("one"), &signer.sign(HEADER, &bent.to_string())).is_ok(), "{name} within the skew");
    }
}

#[test]
fn each_wrong_header_is_refused() {
    let signer = Signer::new();
    let keys = signer.keys("one");

    for (header, refusal) in [
        (r#"{"alg":"none","kid":"one","typ":"at+jwt"}"#, Refusal::Algorithm("none".into())),
        (r#"{"alg":"HS256","kid":"one","typ":"at+jwt"}"#, Refusal::Algorithm("HS256".into())),
        (r#"{"alg":"es256","kid":"one","typ":"at+jwt"}"#, Refusal::Algorithm("es256".into())),
        (r#"{"alg":"ES256","kid":"two","typ":"at+jwt"}"#, Refusal::UnknownKey),
        (r#"{"alg":"ES256","kid":"../one","typ":"at+jwt"}"#, Refusal::UnknownKey),
        (r#"{"alg":"ES256","kid":"one' or '1'='1","typ":"at+jwt"}"#, Refusal::UnknownKey),
        (r#"{"alg":"ES256","kid":"one","typ":"JWT"}"#, Refusal::Type("jwt".into())),
        (r#"{"alg":"ES256","kid":"one"}"#, Refusal::Type(String::new())),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt","crit":["x"]}"#, Refusal::Header("crit")),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt","jku":"https://evil.example"}"#, Refusal::Header("jku")),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt","x5u":"https://evil.example"}"#, Refusal::Header("x5u")),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt","jwk":{}}"#, Refusal::Header("jwk")),
        (r#"{"alg":"none","alg":"ES256","kid":"one","typ":"at+jwt"}"#, Refusal::Malformed),
    ] {
        assert_eq!(judged(&keys, &signer.sign(header, &claims().to_string())), Err(refusal), "{header}");
    }
}

#[test]
fn what_is_bent_after_signing_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let keys = signer.keys("one");
    let honest = signer.sign(HEADER, &claims().to_string());
    let (signed, signature) = honest.rsplit_once('.').unwrap();

    for (text, refusal) in [
        (stranger.sign(HEADER, &claims().to_string()), Refusal::Signature),
        (format!("{signed}.{}", &signature[..signature.len() - 2]), Refusal::Signature),
        (format!("{signed}."), Refusal::Signature),
        (format!("{signed}.{signature}="), Refusal::Malformed),
        (format!("{honest}.x"), Refusal::Malformed),
        (signed.to_owned(), Refusal::Malformed),
        (format!("{honest}{}", "A".repeat(64 << 10)), Refusal::Malformed),
        (signer.sign(HEADER, r#"{"sub":"a","sub":"b"}"#), Refusal::Malformed),
        ("whf_something".to_owned(), Refusal::Malformed),
    ] {
        assert_eq!(judged(&keys, &text), Err(refusal), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn groups_are_found_where_providers_put_them() {
    let claims =
        |all: Value| Claims { issuer: String::new(), subject: "a".into(), all: all.as_object().unwrap().clone() };

    for (all, path, found) in [
        (json!({"groups": ["a", "b", 7]}), "groups", Some(vec!["a", "b"])),
        (json!({"groups": "a"}), "groups", Some(vec!["a"])),
        (json!({"realm_access": {"roles": ["x"]}}), "realm_access.roles", Some(vec!["x"])),
        (json!({"https://a.example/groups": ["y"]}), "https://a.example/groups", Some(vec!["y"])),
        (json!({}), "groups", None),
        (json!({"groups": {"a": 1}}), "groups", None),
    ] {
        let found = found.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(claims(all.clone()).list(path), found, "{all}");
    }
}

#[test]
fn claims_are_told_in_texts() {
    let all =
        json!({"tid": "t-1", "level": 3, "staff": true, "roles": ["a", 2], "address": {"city": "x"}, "none": null});
    let claims = Claims { issuer: String::new(), subject: "a".into(), all: all.as_object().unwrap().clone() };

    let texts = claims.texts();

    let told: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(told, [("level", "3"), ("roles", "a,2"), ("staff", "true"), ("tid", "t-1")]);
}
