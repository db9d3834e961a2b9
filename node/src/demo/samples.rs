//! The files that the demo uploads: a folder's, or a small set inside the program.
//!
//! Each is looked at as a reception desk would, to know whose it is; people are told apart by the import's
//! own rule. Licences of the samples inside the program stand beside them in `node/assets/samples`.

use std::path::Path;

use hospes_import::{Category, Format, Imported, Label, Match, PatientIdentity, inspect, same_person};

use super::failed::Failed;

/// A file larger than this is no sample.
const SAMPLE_BYTES_MAX: u64 = 64 << 20;
/// Folders of `--data` are at most this deep.
const DEPTH_MAX: usize = 4;

/// What a file is, as far as the demo tells kinds apart. Those of whole charts come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A FHIR bundle.
    Fhir,
    /// An International Patient Summary.
    Ips,
    /// C-CDA.
    Ccda,
    /// DICOM with a picture or a plan.
    Dicom,
    /// DICOM with a delivered or planned dose.
    RtDose,
    /// PDF.
    Pdf,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Fhir, Self::Ips, Self::Ccda, Self::Dicom, Self::RtDose, Self::Pdf];

    /// As people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fhir => "FHIR",
            Self::Ips => "IPS",
            Self::Ccda => "C-CDA",
            Self::Dicom => "DICOM",
            Self::RtDose => "RT dose",
            Self::Pdf => "PDF",
        }
    }

    fn of(seen: &Imported) -> Option<Self> {
        match seen.format {
            Format::FhirBundle { ips: true } => Some(Self::Ips),
            Format::FhirBundle { ips: false } | Format::FhirResource => Some(Self::Fhir),
            Format::Ccda => Some(Self::Ccda),
            Format::Dicom if seen.modality.as_deref() == Some("RTDOSE") => Some(Self::RtDose),
            Format::Dicom => Some(Self::Dicom),
            Format::Pdf => Some(Self::Pdf),
            _ => None,
        }
    }
}

/// One file.
pub(crate) struct Sample {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its media type.
    pub(crate) media_type: String,
    /// Proposed category.
    pub(crate) category: Category,
    /// Proposed label.
    pub(crate) label: Label,
    /// Proposed title.
    pub(crate) title: String,
    /// Its patient's place in [`Samples::patients`].
    pub(crate) patient: usize,
}

/// Files and whose they are.
pub(crate) struct Samples {
    /// The files; each belongs to one patient.
    pub(crate) files: Vec<Sample>,
    /// The people whom they name. Files without a name belong to the first.
    pub(crate) patients: Vec<PatientIdentity>,
    /// Files that name nobody of their own, such as registers of hospitals.
    pub(crate) left_out: usize,
}

macro_rules! inside {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../assets/samples/", $path)).as_slice())),+]
    };
}

const INSIDE: &[(&str, &[u8])] = inside![
    "synthea-r4/Lupe_Little_f8a42e66-8c03-4ee6-85e3-3817c2942de1.json",
    "ips/IPS_IG-bundle-01.json",
    "ips/IPS_IG_bundle-minimal.json",
    "ips/DE_no_info_with_Advance_Directive.json",
    "dicom/CT_small.dcm",
    "dicom/rtdose.dcm",
    "dicom/rtstruct.dcm",
    "ccda/CCD.xml",
    "ccda/Unstructured_Document_embed.xml",
    "pdf/C-CDA_R2_UD_sample.pdf",
];

impl Samples {
    /// Of a folder, or those inside the program.
    ///
    /// # Errors
    /// [`Failed::Usage`] for a folder that cannot be read or holds no patient.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, Failed> {
        let mut files = match folder {
            Some(folder) => read_folder(folder, 0)?,
            None => INSIDE.iter().map(|(path, bytes)| (file_name(path), bytes.to_vec())).collect(),
        };
        let mut samples = Self { files: Vec::new(), patients: Vec::new(), left_out: 0 };
        files.sort_by_cached_key(|(name, bytes)| {
            (inspect(bytes, Some(name)).ok().as_ref().and_then(Kind::of), name.clone())
        });
        files.into_iter().for_each(|(name, bytes)| samples.add(name, bytes));
        if samples.patients.is_empty() {
            return Err(Failed::Usage("the folder of --data holds no file that names a patient".into()));
        }
        Ok(samples)
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) {
        let Some((seen, kind)) = inspect(&bytes, Some(&name)).ok().and_then(|i| Kind::of(&i).map(|k| (i, k)))
        else {
            self.left_out += 1;
            return;
        };
        let patient = match seen.patients.as_slice() {
            [one] if !one.is_empty() => self.place_of(one),
            // A register of hospitals names nobody; a picture or a letter without a name is the first patient's.
            [_] | [] if kind != Kind::Fhir => 0,
            _ => {
                self.left_out += 1;
                return;
            }
        };
        let (media_type, title) = (seen.media_type.clone(), seen.title.clone());
        let (category, label) = (seen.category, seen.label);
        self.files.push(Sample { bytes, kind, media_type, category, label, title, patient });
    }

    fn place_of(&mut self, identity: &PatientIdentity) -> usize {
        let known = self.patients.iter().position(|p| same_person(p, identity) == Match::Yes);
        known.unwrap_or_else(|| {
            self.patients.push(identity.clone());
            self.patients.len() - 1
        })
    }

    /// How many files there are of a kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.files.iter().filter(|f| f.kind == kind).count()
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn read_folder(folder: &Path, depth: usize) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let cannot = |e: std::io::Error| Failed::Usage(format!("{} cannot be read: {e}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() && depth < DEPTH_MAX {
            files.extend(read_folder(&path, depth + 1)?);
        } else if is_sample(&path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read(&path).map_err(cannot)?));
        }
    }
    Ok(files)
}

fn is_sample(path: &Path) -> bool {
    let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let small = std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= SAMPLE_BYTES_MAX);
    small && ["json", "xml", "dcm", "pdf"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_inside_have_every_format_and_their_own_patients() {
        let samples = Samples::load(None).unwrap();
        for kind in Kind::ALL {
            assert!(samples.count(kind) > 0, "{} is among them", kind.name());
        }
        assert!(samples.patients.len() > 2, "several people");
        assert!(samples.files.iter().all(|f| f.patient < samples.patients.len()), "each file is somebody's");
        let chart = samples.files.iter().find(|f| f.kind == Kind::Fhir).unwrap();
        assert_eq!(chart.patient, 0, "the first patient has a whole chart");
    }

    #[test]
    fn a_folder_without_patients_is_refused() {
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(Samples::load(Some(empty.path())), Err(Failed::Usage(_))), "nobody to enrol");
    }
}
