//! Signing in by an identity provider: the way there, and the way back.

use super::{Begun, Person, SignIn};
use crate::auth::login_attempt::{self, BrowserSecret};
use crate::auth::oidc::{Fault, Granted, Provider};
use crate::auth::session::{self, AtProvider, Browser, Tokens};
use crate::auth::{Auth, membership};
use crate::base::Problem;
use http::StatusCode;

/// An answer of a provider, as the browser brought it.
#[derive(Clone, Debug, Default)]
pub struct ProviderAnswer {
    pub state: Option<String>,
    pub code: Option<String>,
    pub issuer: Option<String>,
    pub error: Option<String>,
}

impl SignIn {
    /// Our address at this provider.
    fn redirect(&self, provider: &Provider) -> String {
        let name = &provider.settings.name;
        match name.as_str() {
            crate::base::config::PLAIN_PROVIDER => format!("{}/auth/callback", self.public_url),
            _ => format!("{}/auth/callback/{name}", self.public_url),
        }
    }
}

impl Auth {
    pub(super) fn provider(&self, name: &str) -> Result<&Provider, Problem> {
        let found = self.sign_in.providers.for_sign_in().find(|provider| provider.settings.name.as_str() == name);
        found.ok_or_else(|| Problem::not_found("There is no identity provider of this name."))
    }

    /// Where the browser goes to sign in. `next` is the path of ours it comes back to in the end.
    ///
    /// # Errors
    /// 404 for an unknown provider; 503 when it cannot be used now.
    pub async fn begin_sign_in(
        &self,
        provider: &str,
        next: &str,
        browser: &BrowserSecret,
    ) -> Result<url::Url, Problem> {
        let provider = self.provider(provider)?;
        let state = session::random_text();
        let redirect = self.sign_in.redirect(provider);
        let authorization = provider.authorization(&redirect, &browser.proof(&state)).await;
        let authorization = authorization.map_err(|fault| problem_of(provider, &fault))?;
        let mut conn = self.db.write.acquire().await?;
        let name = provider.settings.name.as_str();
        login_attempt::insert(&mut conn, &state, browser, name, next, self.clock.now()).await?;
        Ok(authorization)
    }

    /// Begins the session of whom the provider vouches for.
    ///
    /// # Errors
    /// 400 for an answer that is not to a question of this browser, is used or late, or is not believed; 403 when the
    /// provider or we refuse the person; 503 when the provider cannot be asked.
    pub async fn finish_sign_in(
        &self,
        provider: &str,
        answer: ProviderAnswer,
        secret: Option<&BrowserSecret>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let provider = self.provider(provider)?;
        let outcome = self.finish(provider, answer, secret, browser, request_id).await;
        if let Err(problem) = &outcome {
            tracing::info!(provider.name = %provider.settings.name, reason = problem.kind, "A sign-in was refused: {}", problem.detail);
            metrics::counter!("wharfinger_sign_ins_refused_total", "reason" => problem.kind).increment(1);
        }
        outcome
    }

    async fn finish(
        &self,
        provider: &Provider,
        answer: ProviderAnswer,
        secret: Option<&BrowserSecret>,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let (Some(state), Some(secret)) = (answer.state, secret) else { return Err(stale()) };
        let mut conn = self.db.write.acquire().await?;
        let attempt = login_attempt::take(&mut conn, &state, secret).await?.ok_or_else(stale)?;
        drop(conn);
        if attempt.provider != provider.settings.name.as_str() || attempt.expires_at <= self.clock.now() {
            return Err(stale());
        }
        let fault = |fault: Fault| problem_of(provider, &fault);
        provider.check_answer_issuer(answer.issuer.as_deref()).await.map_err(fault)?;
        if let Some(error) = answer.error {
            return Err(refused_there(provider, &error));
        }
        let code = answer.code.ok_or_else(stale)?;
        let redirect = self.sign_in.redirect(provider);
        let granted = provider.exchange(&code, &redirect, &secret.proof(&state)).await.map_err(fault)?;
        self.begin_of(provider, granted, attempt.next, browser, request_id).await
    }

    async fn begin_of(
        &self,
        provider: &Provider,
        granted: Granted,
        next: String,
        browser: &Browser,
        request_id: Option<&str>,
    ) -> Result<Begun, Problem> {
        let now = self.clock.now();
        let claims = granted.claims.as_ref().ok_or_else(Problem::internal)?;
        let mut tx = self.db.write.begin().await?;
        let person = membership::person_of(&mut tx, provider, claims, now).await?;
        if person.disabled_at.is_some() {
            return Err(disabled());
        }
        let groups = provider.groups(claims).unwrap_or_default();
        membership::sync(&mut tx, provider, claims, person.user_id, &groups, now).await?;
        let refreshes = granted.refresh_token.is_some();
        let at_provider = AtProvider {
            name: provider.settings.name.to_string(),
            sid: claims.text("sid").map(str::to_owned),
            tokens: Tokens {
                id_token: granted.id_token.map(|token| token.expose().clone()),
                refresh_token: granted.refresh_token.map(|token| token.expose().clone()),
            },
            refresh_at: refreshes.then(|| now + self.sign_in.refresh),
        };
        let how = format!("by {}", provider.settings.name);
        let person = Person { id: person.user_id, name: &person.name, how: &how, request_id };
        let token = self.begin(&mut tx, person, Some(&at_provider), browser, now).await?;
        tx.commit().await?;
        self.remembered.changed();
        Ok(Begun { token, next })
    }
}

/// A fault of the provider as a page or answer.
pub(super) fn problem_of(provider: &Provider, fault: &Fault) -> Problem {
    let title = &provider.settings.title;
    match fault {
        Fault::Unreachable => Problem::unavailable(format!(
            "The identity provider {title} does not answer, or not in time."
        ))
        .with_kind("provider-unavailable")
        .with_help(
            "Try again in a minute. Who is signed in stays so; an administrator can sign in with a key meanwhile.",
        ),
        Fault::Wrong(reason) => not_believed(format!("The identity provider {title} cannot be used: {reason}."))
            .with_help(
                "Start again at the sign-in page; if it stays, tell the operator, who finds the reason in the log.",
            ),
        Fault::Token(refusal) => not_believed(format!("What {title} says of you is not believed: {refusal}."))
            .with_help("Start again at the sign-in page; if it stays, tell the operator the request id."),
        Fault::Refused(word) => {
            not_believed(format!("{title} did not accept the answer your browser brought ({word})."))
                .with_help("Each answer counts once. Start again at the sign-in page.")
        }
    }
}

fn not_believed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "sign-in-not-believed", "Not signed in", detail)
}

fn stale() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "sign-in-stale",
        "Not signed in",
        "This answer belongs to no sign-in that is under way in this browser: it was used before, is older than ten \
         minutes, or was begun elsewhere.",
    )
    .with_help("Start again at the sign-in page, with cookies allowed, and finish in the same browser.")
}

fn refused_there(provider: &Provider, error: &str) -> Problem {
    let known =
        ["access_denied", "login_required", "consent_required", "interaction_required", "temporarily_unavailable"];
    let word = known.into_iter().find(|known| *known == error).unwrap_or("an error");
    let detail = format!("{} did not sign you in ({word}).", provider.settings.title);
    Problem::new(StatusCode::FORBIDDEN, "sign-in-refused", "Not signed in", detail).with_help(
        "Start again at the sign-in page, or ask whoever runs the identity provider whether you may use this service.",
    )
}

fn disabled() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "account-disabled",
        "Account disabled",
        "Your account here was disabled by an administrator.",
    )
    .with_help("Ask an administrator of this service to enable it again.")
}
