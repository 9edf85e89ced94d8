//! What a token says about itself: Keystone's msgpack layout inside Fernet (spec section 4.1).
//!
//! One element is added at the end: the issue time in microseconds. Fernet only keeps seconds, and a token issued in the
//! second of a password change must not be taken for one issued before it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rmp::{decode, encode};
use sahab_contract::{Error, Result};

/// How the caller proved who it is. The discriminant is its weight in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    ApplicationCredential = 1,
    Ec2 = 2,
    Password = 4,
    Token = 8,
}

impl Method {
    pub const ALL: [Method; 4] = [Method::ApplicationCredential, Method::Ec2, Method::Password, Method::Token];

    pub fn name(self) -> &'static str {
        match self {
            Method::ApplicationCredential => "application_credential",
            Method::Ec2 => "ec2credential",
            Method::Password => "password",
            Method::Token => "token",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Unscoped,
    Domain(String),
    Project(String),
    Trust { project_id: Option<String>, trust_id: String },
    System,
    ApplicationCredential { project_id: String, id: String },
}

/// A token's own content; everything else is looked up when it is validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    pub user_id: String,
    pub methods: Vec<Method>,
    pub target: Target,
    pub issued_at: DateTime<Utc>,
    /// Whole seconds.
    pub expires_at: DateTime<Utc>,
    /// Own id, then the id of the chain when the token was made from another.
    pub audit_ids: Vec<String>,
}

pub fn new_audit_id() -> String {
    URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes())
}

impl Claims {
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(160);
        let (version, elements): (u8, u32) = match &self.target {
            Target::Unscoped => (0, 5),
            Target::Domain(_) => (1, 6),
            Target::Project(_) => (2, 6),
            Target::Trust { .. } => (3, 7),
            Target::System => (8, 6),
            Target::ApplicationCredential { .. } => (9, 7),
        };
        encode::write_array_len(&mut out, elements + 1)?;
        encode::write_uint(&mut out, version.into())?;
        write_id(&mut out, &self.user_id)?;
        encode::write_uint(&mut out, self.methods.iter().map(|method| *method as u64).sum())?;
        match &self.target {
            Target::Unscoped => {}
            Target::Domain(id) | Target::Project(id) => write_id(&mut out, id)?,
            Target::Trust { project_id, .. } => write_id(&mut out, project_id.as_deref().unwrap_or_default())?,
            Target::System => encode::write_str(&mut out, "all")?,
            Target::ApplicationCredential { project_id, .. } => write_id(&mut out, project_id)?,
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds fit a float for 285 million years")]
        encode::write_f64(&mut out, self.expires_at.timestamp() as f64)?;
        encode::write_array_len(&mut out, u32::try_from(self.audit_ids.len())?)?;
        for audit_id in &self.audit_ids {
            encode::write_bin(&mut out, &URL_SAFE_NO_PAD.decode(audit_id)?)?;
        }
        match &self.target {
            Target::Trust { trust_id, .. } => write_id(&mut out, trust_id)?,
            Target::ApplicationCredential { id, .. } => write_id(&mut out, id)?,
            _ => {}
        }
        encode::write_sint(&mut out, self.issued_at.timestamp_micros())?;
        Ok(out)
    }

    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self> {
        let input = &mut bytes;
        let elements = decode::read_array_len(input)?;
        let version: u8 = decode::read_int(input)?;
        let expected = match version {
            0 => 5,
            1 | 2 | 8 => 6,
            3 | 9 => 7,
            _ => return Err(Error::internal(format!("token payload version {version}"))),
        };
        if elements != expected + 1 {
            return Err(Error::internal("token payload of a wrong length"));
        }
        let user_id = read_id(input)?;
        let weights: u64 = decode::read_int(input)?;
        let methods = Method::ALL.into_iter().filter(|method| weights & *method as u64 != 0).collect();
        let scope = match version {
            0 => String::new(),
            8 => read_text(input)?,
            _ => read_id(input)?,
        };
        let expires = decode::read_f64(input)?;
        let count = decode::read_array_len(input)?;
        let mut audit_ids = Vec::new();
        for _ in 0..count.min(2) {
            let length = decode::read_bin_len(input)?;
            audit_ids.push(URL_SAFE_NO_PAD.encode(read_bytes(input, length)?));
        }
        let target = match version {
            0 => Target::Unscoped,
            1 => Target::Domain(scope),
            2 => Target::Project(scope),
            3 => Target::Trust { project_id: Some(scope).filter(|id| !id.is_empty()), trust_id: read_id(input)? },
            8 => Target::System,
            _ => Target::ApplicationCredential { project_id: scope, id: read_id(input)? },
        };
        let issued: i64 = decode::read_int(input)?;
        #[expect(clippy::cast_possible_truncation, reason = "written from whole seconds")]
        let expires_at = DateTime::from_timestamp(expires as i64, 0);
        let issued_at = DateTime::from_timestamp_micros(issued);
        match (issued_at, expires_at) {
            (Some(issued_at), Some(expires_at)) => {
                Ok(Claims { user_id, methods, target, issued_at, expires_at, audit_ids })
            }
            _ => Err(Error::internal("token payload with an impossible time")),
        }
    }
}

/// `[true, 16 bytes]` for 32 hexadecimal digits, else `[false, text]`.
fn write_id(out: &mut Vec<u8>, id: &str) -> Result<()> {
    encode::write_array_len(out, 2)?;
    match uuid::Uuid::try_parse(id) {
        Ok(uuid) if uuid.simple().to_string() == id => {
            encode::write_bool(out, true)?;
            encode::write_bin(out, uuid.as_bytes())?;
        }
        _ => {
            encode::write_bool(out, false)?;
            encode::write_str(out, id)?;
        }
    }
    Ok(())
}

fn read_id(input: &mut &[u8]) -> Result<String> {
    if decode::read_array_len(input)? != 2 {
        return Err(Error::internal("token payload with a broken id"));
    }
    if decode::read_bool(input)? {
        let length = decode::read_bin_len(input)?;
        Ok(uuid::Uuid::from_slice(read_bytes(input, length)?)?.simple().to_string())
    } else {
        read_text(input)
    }
}

fn read_text(input: &mut &[u8]) -> Result<String> {
    let length = decode::read_str_len(input).map_err(|_| Error::internal("token payload without a text"))?;
    Ok(std::str::from_utf8(read_bytes(input, length)?)?.to_owned())
}

fn read_bytes<'a>(input: &mut &'a [u8], length: u32) -> Result<&'a [u8]> {
    let length = usize::try_from(length)?;
    let Some((bytes, rest)) = input.split_at_checked(length) else {
        return Err(Error::internal("token payload cut short"));
    };
    *input = rest;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_went() {
        let id = || uuid::Uuid::new_v4().simple().to_string();
        let now = sahab_contract::context::now();
        for target in [
            Target::Unscoped,
            Target::Domain("default".into()),
            Target::Domain(id()),
            Target::Project(id()),
            Target::Trust { project_id: Some(id()), trust_id: id() },
            Target::Trust { project_id: None, trust_id: id() },
            Target::System,
            Target::ApplicationCredential { project_id: id(), id: id() },
        ] {
            let claims = Claims {
                user_id: id(),
                methods: vec![Method::Password, Method::Token],
                target,
                issued_at: now,
                expires_at: DateTime::from_timestamp(now.timestamp() + 3600, 0).unwrap(),
                audit_ids: vec![new_audit_id(), new_audit_id()],
            };
            let bytes = claims.to_bytes().unwrap();
            assert_eq!(Claims::from_bytes(&bytes).unwrap(), claims);
            for length in 0..bytes.len() {
                assert!(Claims::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
            }
        }
    }
}
