//! What the applications run on: Trussed in software, with the backends that they ask for beside its core. Storage is memory.

use trussed::backend::{Backend as _, BackendId};
use trussed::platform::Platform;
use trussed::serde_extensions::{ExtensionDispatch, ExtensionId, ExtensionImpl};
use trussed::service::ServiceResources;
use trussed::types::Context;
use trussed::virt::{self, StoreConfig};
use trussed_auth::AuthExtension;
use trussed_auth_backend::{AuthBackend, AuthContext, FilesystemLayout};
use trussed_chunked::ChunkedExtension;
use trussed_core::Error;
use trussed_core::api::{Reply, Request, reply, request};
use trussed_core::types::{Bytes, Location};
use trussed_hpke::HpkeExtension;
use trussed_staging::{StagingBackend, StagingContext};
use trussed_wrap_key_to_file::WrapKeyToFileExtension;

/// What an application holds of it.
pub type Client<'a> = virt::Client<'a, Services>;

/// Runs an application on it.
pub fn with_client<R>(work: impl FnOnce(Client<'_>) -> R) -> R {
    virt::with_platform(StoreConfig::ram(), |platform| {
        let services = Services {
            auth: AuthBackend::with_hw_key(
                Location::Internal,
                Bytes::try_from(&b"some bytes"[..]).unwrap_or_default(),
                FilesystemLayout::V0,
            ),
            staging: StagingBackend::new(),
        };
        platform.run_client_with_backends("card", services, BACKENDS, work)
    })
}

/// In the order in which they are asked.
const BACKENDS: &[BackendId<Backend>] =
    &[BackendId::Custom(Backend::Staging), BackendId::Custom(Backend::Auth), BackendId::Core];

/// The backends beside the core.
pub struct Services {
    auth: AuthBackend,
    staging: StagingBackend,
}

/// Their state for one application.
#[derive(Default)]
pub struct Contexts {
    auth: AuthContext,
    staging: StagingContext,
}

/// Which backend.
#[derive(Clone, Copy)]
pub enum Backend {
    /// PINs and what they guard.
    Auth,
    /// Extensions that Trussed calls work in progress.
    Staging,
}

/// Which extension.
#[derive(Clone, Copy)]
pub enum Extension {
    /// PINs.
    Auth = 0,
    /// Objects in pieces.
    Chunked = 1,
    /// RFC 9180.
    Hpke = 2,
    /// Keys in files.
    WrapKeyToFile = 3,
}

impl From<Extension> for u8 {
    fn from(extension: Extension) -> Self {
        extension as Self
    }
}

impl TryFrom<u8> for Extension {
    type Error = Error;
    fn try_from(number: u8) -> Result<Self, Error> {
        [Self::Auth, Self::Chunked, Self::Hpke, Self::WrapKeyToFile]
            .into_iter()
            .find(|one| *one as u8 == number)
            .ok_or(Error::InternalError)
    }
}

impl ExtensionDispatch for Services {
    type BackendId = Backend;
    type Context = Contexts;
    type ExtensionId = Extension;

    fn core_request<P: Platform>(
        &mut self,
        backend: &Backend,
        context: &mut Context<Contexts>,
        request: &Request,
        resources: &mut ServiceResources<P>,
    ) -> Result<Reply, Error> {
        let Context { core, backends, .. } = context;
        match backend {
            Backend::Auth => self.auth.request(core, &mut backends.auth, request, resources),
            Backend::Staging => self.staging.request(core, &mut backends.staging, request, resources),
        }
    }

    fn extension_request<P: Platform>(
        &mut self,
        backend: &Backend,
        extension: &Extension,
        context: &mut Context<Contexts>,
        request: &request::SerdeExtension,
        resources: &mut ServiceResources<P>,
    ) -> Result<reply::SerdeExtension, Error> {
        let Context { core, backends, .. } = context;
        let (auth, staging) = (&mut backends.auth, &mut backends.staging);
        match (backend, extension) {
            (Backend::Auth, Extension::Auth) => {
                self.auth.extension_request_serialized(core, auth, request, resources)
            }
            (Backend::Staging, Extension::Chunked) => {
                ExtensionImpl::<ChunkedExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            (Backend::Staging, Extension::Hpke) => {
                ExtensionImpl::<HpkeExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            (Backend::Staging, Extension::WrapKeyToFile) => {
                ExtensionImpl::<WrapKeyToFileExtension>::extension_request_serialized(
                    &mut self.staging,
                    core,
                    staging,
                    request,
                    resources,
                )
            }
            (Backend::Auth, _) | (Backend::Staging, Extension::Auth) => Err(Error::RequestNotAvailable),
        }
    }
}

impl ExtensionId<AuthExtension> for Services {
    type Id = Extension;
    const ID: Extension = Extension::Auth;
}

impl ExtensionId<ChunkedExtension> for Services {
    type Id = Extension;
    const ID: Extension = Extension::Chunked;
}

impl ExtensionId<HpkeExtension> for Services {
    type Id = Extension;
    const ID: Extension = Extension::Hpke;
}

impl ExtensionId<WrapKeyToFileExtension> for Services {
    type Id = Extension;
    const ID: Extension = Extension::WrapKeyToFile;
}
