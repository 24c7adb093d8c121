//! Access tokens of one connection: requested once for all calls that wait, renewed before they expire, dropped when the API
//! refuses them. Credentials that were refused are not sent again until they change or a minute has passed.

use super::scrub::KnownSecrets;
use crate::iam::authentication::TokenResponse;
use crate::iam::authentication::claims::TokenClaims;
use crate::iam::{ClientId, ConnectionCredentials, Error, LoadCredentials, OrgId};
use crate::keyed::PrunedMap;
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed that long before it expires, or at half its life if that is later. [wavefront-sdk, tanzu-framework]
const EARLY: Duration = Duration::from_secs(180);
/// While the token is still valid, a renewal that failed transiently is retried after this.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// For so long, refused credentials are not sent again.
const REFUSAL_HOLDS: Duration = Duration::from_secs(60);

/// An access token and the credentials that it came from.
pub(crate) struct AccessToken {
    value: SecretString,
    claims: TokenClaims,
    credentials: ConnectionCredentials,
    known: KnownSecrets,
    renew_at: Instant,
    expires_at: Instant,
}

impl AccessToken {
    fn new(response: TokenResponse, credentials: ConnectionCredentials, requested_at: Instant) -> Self {
        let known = KnownSecrets::of(&credentials).with(response.token.expose_secret());
        Self {
            value: response.token,
            claims: response.claims,
            credentials,
            known,
            renew_at: requested_at + renew_after(response.lifetime),
            expires_at: requested_at + response.lifetime,
        }
    }

    /// For the header of a call.
    pub(crate) fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    pub(crate) fn claims(&self) -> &TokenClaims {
        &self.claims
    }

    /// Whether the token was issued for the credentials of this app.
    pub(crate) fn is_of(&self, app: &ClientId) -> bool {
        match &self.credentials {
            ConnectionCredentials::Client { id, .. } => *id == app.0,
            ConnectionCredentials::ApiToken(_) => false,
        }
    }

    /// The secrets that an answer to a call with this token could repeat.
    pub(crate) fn known(&self) -> &KnownSecrets {
        &self.known
    }
}

/// When to renew a token of this lifetime.
fn renew_after(lifetime: Duration) -> Duration {
    lifetime - EARLY.min(lifetime / 2)
}

pub(crate) struct TokenCache {
    load: LoadCredentials,
    slots: Mutex<PrunedMap<Option<OrgId>, Arc<Slot>>>,
}

impl TokenCache {
    /// With credentials that are read again for each token request.
    pub(crate) fn new(load: LoadCredentials) -> Self {
        Self { load, slots: Mutex::default() }
    }

    /// The slot of the token for this organization, or of the one for the organization that owns the credentials.
    pub(crate) fn slot(&self, org: Option<OrgId>) -> Arc<Slot> {
        let is_in_use = |_: &Option<OrgId>, slot: &Arc<Slot>| Arc::strong_count(slot) > 1 || slot.is_occupied();
        self.slots().get_or_insert_with(org, || Arc::new(Slot::new(self.load.clone())), is_in_use).clone()
    }

    /// The slot with its token, if that needs no renewal.
    pub(crate) fn fresh(&self, org: Option<OrgId>) -> Option<CachedToken> {
        let slot = self.slots().get(&org)?.clone();
        slot.fresh().map(|token| CachedToken { slot, token })
    }

    /// The first organization for which there is a token that needs no renewal.
    pub(crate) fn any_organization(&self) -> Option<OrgId> {
        let slots = self.slots();
        let fresh = slots.iter().filter(|(_, slot)| slot.fresh().is_some());
        fresh.filter_map(|(org, _)| org.clone()).min()
    }

    fn slots(&self) -> MutexGuard<'_, PrunedMap<Option<OrgId>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the tokens that were issued for other credentials than these, which are the current ones.
    pub(crate) fn retain_from(&self, credentials: &ConnectionCredentials) {
        let slots = self.slots();
        // A slot that is locked is being renewed, with credentials that were just read.
        for mut state in slots.iter().filter_map(|(_, slot)| slot.state.try_lock().ok()) {
            state.token = state.token.take().filter(|token| token.credentials == *credentials);
        }
    }
}

pub(crate) struct CachedToken {
    pub(crate) slot: Arc<Slot>,
    pub(crate) token: Arc<AccessToken>,
}

/// One token. The call that renews it holds the lock, so all others wait for that one token request; when it is canceled the
/// next one takes over.
pub(crate) struct Slot {
    load: LoadCredentials,
    state: tokio::sync::Mutex<State>,
    failures: AtomicU64,
}

#[derive(Default)]
struct State {
    token: Option<Arc<AccessToken>>,
    renewal_paused_until: Option<Instant>,
    refusal: Option<Refusal>,
    last_failure: Option<Error>,
}

struct Refusal {
    credentials: ConnectionCredentials,
    error: Error,
    until: Instant,
}

impl Slot {
    fn new(load: LoadCredentials) -> Self {
        Self { load, state: tokio::sync::Mutex::default(), failures: AtomicU64::new(0) }
    }

    /// Whether the slot holds a valid token, or a refusal that still counts.
    fn is_occupied(&self) -> bool {
        let now = Instant::now();
        self.state.try_lock().is_ok_and(|state| {
            state.token.as_ref().is_some_and(|token| now < token.expires_at)
                || state.refusal.as_ref().is_some_and(|refusal| now < refusal.until)
        })
    }

    /// The token if it needs no renewal. Does not wait.
    pub(crate) fn fresh(&self) -> Option<Arc<AccessToken>> {
        self.state.try_lock().ok().and_then(|state| state.fresh())
    }

    /// The token, after a token request if necessary. A failure is shared by all calls that waited for it.
    pub(crate) async fn token<F, A>(&self, request: F) -> Result<Arc<AccessToken>, Error>
    where
        F: FnOnce(ConnectionCredentials) -> A + Send,
        A: Future<Output = Result<TokenResponse, Error>> + Send,
    {
        let failures = self.failures.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(token) = state.fresh() {
            return Ok(token);
        }
        match &state.last_failure {
            Some(error) if self.failures.load(Ordering::Acquire) != failures => return Err(error.clone()),
            Some(_) | None => {}
        }
        match self.renew(&mut state, request).await {
            Ok(token) => Ok(token),
            Err(error) => match state.valid_despite(&error) {
                Some(token) => Ok(token),
                None => {
                    state.last_failure = Some(error.clone());
                    self.failures.fetch_add(1, Ordering::Release);
                    Err(error)
                }
            },
        }
    }

    async fn renew<F, A>(&self, state: &mut State, request: F) -> Result<Arc<AccessToken>, Error>
    where
        F: FnOnce(ConnectionCredentials) -> A + Send,
        A: Future<Output = Result<TokenResponse, Error>> + Send,
    {
        let load = (self.load)().await;
        let credentials = load.map_err(|error| Error::Credentials(format!("no credentials for the API: {error}")))?;
        state.refused(&credentials)?;
        let requested_at = Instant::now();
        match request(credentials.clone()).await {
            Ok(response) => {
                let token = Arc::new(AccessToken::new(response, credentials, requested_at));
                *state = State { token: Some(token.clone()), ..State::default() };
                Ok(token)
            }
            Err(error) => {
                if matches!(error, Error::Credentials(_) | Error::WrongOrganization(_) | Error::Forbidden(_)) {
                    state.refuse(credentials, error.clone());
                }
                Err(error)
            }
        }
    }

    /// The API refuses this token: the next call requests a new one, unless another call already did.
    pub(crate) async fn drop_token(&self, token: &Arc<AccessToken>) {
        let mut state = self.state.lock().await;
        if state.holds(token) {
            state.token = None;
        }
    }

    /// The API refuses a token that it just issued: its credentials are not sent again for a while.
    pub(crate) async fn refuse(&self, token: &Arc<AccessToken>, error: Error) -> Error {
        let mut state = self.state.lock().await;
        if state.holds(token) {
            state.refuse(token.credentials.clone(), error.clone());
        }
        error
    }
}

impl State {
    fn fresh(&self) -> Option<Arc<AccessToken>> {
        let now = Instant::now();
        let paused = self.renewal_paused_until.is_some_and(|until| now < until);
        self.token.clone().filter(|token| now < token.expires_at && (paused || now < token.renew_at))
    }

    /// The token, if it is valid and its renewal failed transiently.
    fn valid_despite(&mut self, error: &Error) -> Option<Arc<AccessToken>> {
        let is_transient = matches!(error, Error::Unavailable(_) | Error::Throttled { .. });
        let token = self.token.clone().filter(|token| is_transient && Instant::now() < token.expires_at)?;
        self.renewal_paused_until = Some(Instant::now() + RENEWAL_PAUSE);
        Some(token)
    }

    fn refused(&self, credentials: &ConnectionCredentials) -> Result<(), Error> {
        match &self.refusal {
            Some(refusal) if refusal.credentials == *credentials && Instant::now() < refusal.until => {
                Err(refusal.error.clone())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn refuse(&mut self, credentials: ConnectionCredentials, error: Error) {
        self.token = None;
        self.refusal = Some(Refusal { credentials, error, until: Instant::now() + REFUSAL_HOLDS });
    }

    fn holds(&self, token: &Arc<AccessToken>) -> bool {
        self.token.as_ref().is_some_and(|own| Arc::ptr_eq(own, token))
    }
}

#[cfg(test)]
mod tests;
