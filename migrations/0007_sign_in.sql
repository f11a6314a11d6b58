-- How people come in: sessions, sign-ins under way, invitations, and the count of failed tries.

create table session (
    session_id       uuid primary key,
    token_hash       bytea not null constraint session_token_hash_key unique,
    user_id          uuid references user_account,
    key_id           uuid references api_key,
    provider         text,
    provider_session text,
    sealed           bytea,
    refresh_at       timestamptz,
    address          text,
    user_agent       text not null default '',
    created_at       timestamptz not null,
    expires_at       timestamptz not null,
    ended_at         timestamptz,
    constraint session_one_holder check (num_nonnulls(user_id, key_id) = 1)
);
comment on table session is 'Browsers that signed in. The token is in the browser''s cookie and nowhere else.';
comment on column session.token_hash is 'SHA-256 of the cookie''s value, which has 256 random bits.';
comment on column session.key_id is 'Of a session that was begun with a key: it may what the key may, and ends with it.';
comment on column session.provider is 'The identity provider by which the person signed in; null for passwords and keys.';
comment on column session.provider_session is 'What the provider calls its own session (sid), for its message that it ended.';
comment on column session.sealed is 'ID token and refresh token, AES-256-GCM under a key made from the cookie''s value: of no use to who reads the table.';
comment on column session.refresh_at is 'When the person''s groups are to be asked for anew.';
create index session_of_user on session (user_id) where ended_at is null;
create index session_of_key on session (key_id) where ended_at is null;
create index session_expires on session (expires_at);

create table session_use (
    session_id   uuid primary key references session on delete cascade,
    last_seen_at timestamptz not null
);
comment on table session_use is 'When a session was last seen, roughly; apart from session, whose changes all replicas are told of.';

create trigger tell_access_changed after update of ended_at or delete on session
    for each statement execute function tell_access_changed();

create table login_attempt (
    state_hash   bytea primary key,
    browser_hash bytea not null,
    provider     text not null,
    next         text not null,
    expires_at   timestamptz not null
);
comment on table login_attempt is 'Browsers that were sent to an identity provider. A row is deleted when its browser comes back: each counts once.';
comment on column login_attempt.browser_hash is 'SHA-256 of a secret in the browser''s cookie, from which nonce and PKCE verifier are made.';
create index login_attempt_expires on login_attempt (expires_at);

create table invitation (
    invitation_id uuid primary key,
    token_hash    bytea not null constraint invitation_token_hash_key unique,
    user_id       uuid not null references user_account,
    created_by    text not null,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    ended_at      timestamptz
);
comment on table invitation is 'Links by which somebody without an identity provider chooses a password, once.';
comment on column invitation.ended_at is 'When it was used, or put out of force by a later one.';
create index invitation_user on invitation (user_id);

create table sign_in_throttle (
    subject_hash bytea primary key,
    failures     int not null,
    since        timestamptz not null
);
comment on table sign_in_throttle is 'Failed tries by account, by address and by both, under SHA-256 so that no list of names grows here.';
create index sign_in_throttle_since on sign_in_throttle (since);

alter table user_link add column synced_at timestamptz;
comment on column user_link.synced_at is 'How old what we took over from the provider is; a token issued before says nothing new.';
