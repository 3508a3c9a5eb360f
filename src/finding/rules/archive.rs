//! Rules about archives and layers that mean different things to different readers.
//!
//! One for each way, so that a report says which it was. The table from errors to these
//! rules is `archive::refusal`. None can be waived: what two readers see differently has not
//! been inspected, whoever signs for it. Archives inside the image are data, and there the
//! owner of the data may.

use super::Severity::{Critical, High};

rules! {
    /// A link, folder, device or FIFO that announces data.
    TAR_LINK_WITH_SIZE {
        id: "tar-link-with-size",
        title: "a link or folder that announces data",
        severity: Critical,
        rationale: "Readers in Rust skip that many bytes as data; Go's, which container runtimes use, ignore the size and read the hidden bytes as further entries, a shell for example.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a symbolic link of size 1024, followed by an entry bin/sh",
        good: "a symbolic link of size 0",
        waivable: false,
    }

    /// A PAX header that gives a key twice.
    TAR_DUPLICATE_PAX_KEY {
        id: "tar-duplicate-pax-key",
        title: "a PAX header that gives a key twice",
        severity: Critical,
        rationale: "Go takes the last of two values and Rust's tar the first: a path or a link target is another one for each.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "path=first and path=bin/sh in one header",
        good: "one path",
        waivable: false,
    }

    /// Two entries for one path in a layer.
    TAR_DUPLICATE_PATH {
        id: "tar-duplicate-path",
        title: "two entries for one path in a layer",
        severity: Critical,
        rationale: "Unpackers keep the last entry, some readers the first, and lists show both: which file is in the image depends on who looks.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "two entries bin/app of different content",
        good: "one entry for each path",
        waivable: false,
    }

    /// A sparse file.
    TAR_SPARSE {
        id: "tar-sparse",
        title: "a sparse file in a layer",
        severity: Critical,
        rationale: "GNU, PAX and star write sparse files in different ways; readers that do not know one of them see another name, another size and other bytes.",
        remedy: "Pack the layer without --sparse.",
        bad: "an entry of type S, or GNU.sparse.major in its PAX header",
        good: "a regular file",
        waivable: false,
    }

    /// A PAX record that breaks its form.
    TAR_MALFORMED_PAX {
        id: "tar-malformed-pax",
        title: "a PAX record that breaks its form",
        severity: Critical,
        rationale: "Go refuses the archive, Rust's tar drops the record and goes on with the short name of the header.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a record whose length does not fit: 99 path=a; a name with a newline in it",
        good: "9 path=a",
        waivable: false,
    }

    /// An extended name with a NUL byte.
    TAR_NUL_IN_EXTENDED_NAME {
        id: "tar-nul-in-extended-name",
        title: "an extended name with a NUL byte",
        severity: Critical,
        rationale: "GNU tar ends the name there and unpacks bin/sh, Rust's tar keeps bin/sh\\0.txt, Go refuses the archive.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "path=bin/sh, a NUL byte, .txt",
        good: "path=bin/app",
        waivable: false,
    }

    /// A global PAX header that changes entries.
    TAR_GLOBAL_PAX {
        id: "tar-global-pax",
        title: "a global PAX header that changes entries",
        severity: Critical,
        rationale: "GNU tar applies it to every entry that follows; Go and Rust's tar do not.",
        remedy: "Pack the layer without --pax-option=globexthdr; a comment, as git archive writes one, is accepted.",
        bad: "a global header with path=bin/sh",
        good: "a global header with a comment, or none",
        waivable: false,
    }

    /// A name in a PAX and in a GNU header.
    TAR_TWO_LONG_NAMES {
        id: "tar-two-long-names",
        title: "an entry named by a PAX and by a GNU header",
        severity: Critical,
        rationale: "Go and Rust's tar take the name of the GNU header, GNU tar that of the PAX header.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "path=a in PAX and a GNU long name bin/sh before one entry",
        good: "one of them",
        waivable: false,
    }

    /// Entries behind a single zero block.
    TAR_LONE_ZERO_BLOCK {
        id: "tar-lone-zero-block",
        title: "entries behind a single zero block",
        severity: Critical,
        rationale: "Rust's tar stops there without a word, Go refuses the archive, others read on and find more entries.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a zero block, then an entry bin/sh",
        good: "two zero blocks at the end alone",
        waivable: false,
    }

    /// Bytes behind the end of the archive.
    TAR_DATA_AFTER_END {
        id: "tar-data-after-end",
        title: "bytes behind the end of the archive",
        severity: Critical,
        rationale: "Readers stop at the two zero blocks; what follows is stored, pulled and signed, and seen by those who read on.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "an entry behind two zero blocks",
        good: "zero padding of at most 64 KiB",
        waivable: false,
    }

    /// An archive that ends in the middle of an entry.
    TAR_TRUNCATED {
        id: "tar-truncated",
        title: "an archive that ends in the middle of an entry",
        severity: High,
        rationale: "Some readers take the shorter file, others refuse the archive.",
        remedy: "Build the layer again, or fetch it again.",
        bad: "a header of 1 MiB and 10 bytes behind it",
        good: "a whole archive",
        waivable: false,
    }

    /// A header with a wrong checksum.
    TAR_BAD_CHECKSUM {
        id: "tar-bad-checksum",
        title: "a header with a wrong checksum",
        severity: High,
        rationale: "Go and Rust's tar stop, GNU tar skips to the next header that it believes and goes on from there.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a changed byte in a header, or a layer that is no tar archive",
        good: "a header with the sum of its bytes",
        waivable: false,
    }

    /// A number that not all readers read alike.
    TAR_BAD_NUMBER {
        id: "tar-bad-number",
        title: "a number in a header that not all readers read alike",
        severity: High,
        rationale: "Negative numbers, numbers beyond 63 bits and fields that are not octal are refused by one reader and cut off by another; a size that differs moves all that follows.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a size of -512, or of 2^63 bytes",
        good: "an octal size",
        waivable: false,
    }

    /// An entry of a type that readers do not share.
    TAR_UNKNOWN_TYPE {
        id: "tar-unknown-type",
        title: "an entry of a type that readers do not share",
        severity: High,
        rationale: "Some make a regular file of it, some skip it, some hand it on.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "type Z, V, M, D, N or X, or an extension (x, g, L, K) in a header without a magic",
        good: "types 0 to 7, and x, g, L and K where the header has a magic",
        waivable: false,
    }

    /// A file whose name ends in a slash.
    TAR_SLASH_AFTER_FILE {
        id: "tar-slash-after-file",
        title: "a file whose name ends in a slash",
        severity: High,
        rationale: "Old readers and GNU tar make a folder of it, others a file.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a regular entry bin/",
        good: "a folder bin/, or a file bin",
        waivable: false,
    }

    /// Two extension headers of one kind before an entry.
    TAR_REPEATED_EXTENSION {
        id: "tar-repeated-extension",
        title: "two extension headers of one kind before an entry",
        severity: High,
        rationale: "Some readers take the first, some the last, some merge them.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "two PAX headers, each with a path",
        good: "one header with all that is to be said",
        waivable: false,
    }

    /// An extension header that belongs to no entry.
    TAR_DANGLING_EXTENSION {
        id: "tar-dangling-extension",
        title: "an extension header that belongs to no entry",
        severity: High,
        rationale: "Some readers drop it, some carry it over to a later entry, some refuse the archive.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a long name, and then the end",
        good: "a long name with its entry",
        waivable: false,
    }

    /// Two sizes for one entry.
    TAR_PAX_SIZE {
        id: "tar-pax-size",
        title: "two sizes for one entry",
        severity: Critical,
        rationale: "Readers that honour the PAX size and readers that honour the header's go on at different places, and see different entries from there.",
        remedy: "Rebuild the layer with a current builder; a PAX size is for files of 8 GiB and more.",
        bad: "size=0 in PAX and 1024 in the header",
        good: "one size",
        waivable: false,
    }

    /// A PAX size in front of a GNU long name.
    TAR_PAX_SIZE_BEFORE_LONG_NAME {
        id: "tar-pax-size-before-long-name",
        title: "a PAX size in front of a GNU long name",
        severity: Critical,
        rationale: "Some readers apply the size to the entry, some to the long name itself, and then read entries out of file content.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "size=1024, then a GNU long name, then a file",
        good: "a PAX header with path and size",
        waivable: false,
    }

    /// Bytes behind the end of a text field.
    TAR_BYTES_AFTER_NUL {
        id: "tar-bytes-after-nul",
        title: "bytes behind the NUL that ends a name",
        severity: High,
        rationale: "Most readers stop at the NUL, some take the whole field: the name is another one.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "the name a, a NUL byte, bin/sh",
        good: "a name with zeros behind it",
        waivable: false,
    }

    /// A PAX character set that is not UTF-8.
    TAR_CHARSET {
        id: "tar-charset",
        title: "a PAX character set that is not UTF-8",
        severity: High,
        rationale: "A reader that converts names sees others than one that does not.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "hdrcharset=ISO-IR 8859 1 1998",
        good: "UTF-8, the default",
        waivable: false,
    }

    /// A header of an unknown tar format.
    TAR_UNKNOWN_FORMAT {
        id: "tar-unknown-format",
        title: "a header of an unknown tar format",
        severity: High,
        rationale: "The magic says where the second half of a name stands; without a known one readers guess.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "star's own format",
        good: "ustar, PAX, GNU or the format of version 7",
        waivable: false,
    }

    /// An entry without a name, or a link without a target.
    TAR_EMPTY_NAME {
        id: "tar-empty-name",
        title: "an entry without a name, or a link without a target",
        severity: High,
        rationale: "Readers skip it, refuse it, or take it for the root of the image.",
        remedy: "Rebuild the layer with a current builder; ordinary tools never write this.",
        bad: "a file with an empty path",
        good: "a file with a path",
        waivable: false,
    }

    /// An entry outside the root of the image.
    PATH_ESCAPES {
        id: "path-escapes",
        title: "an entry outside the root of the image",
        severity: Critical,
        rationale: "Unpackers that follow .. write over files of the host; those that refuse or cut the name put the file elsewhere.",
        remedy: "Pack the files under the paths that they are to have.",
        bad: "../../etc/cron.d/x, or a hard link to ../etc/shadow",
        good: "etc/app/x",
        waivable: false,
    }

    /// An entry with an absolute path.
    PATH_ABSOLUTE {
        id: "path-absolute",
        title: "an entry with an absolute path",
        severity: High,
        rationale: "Some unpackers take the root of the image for it, some that of the host, some refuse it; scanners that look for relative names miss it.",
        remedy: "Pack the files under relative paths, as every current builder does.",
        bad: "/usr/bin/app",
        good: "usr/bin/app, ./usr/bin/app",
        waivable: false,
    }

    /// An entry below something that is no folder.
    PARENT_NOT_FOLDER {
        id: "parent-not-folder",
        title: "an entry below something that is no folder",
        severity: High,
        rationale: "Some unpackers replace the file with a folder, some refuse the layer: which of the two is in the image depends on them.",
        remedy: "Build the image again; give one of the two another path.",
        bad: "a file etc/app, and a file etc/app/config",
        good: "etc/app.d/config",
        waivable: false,
    }

    /// A hard link to what is not there yet.
    HARD_LINK_WITHOUT_TARGET {
        id: "hard-link-without-target",
        title: "a hard link to what is not there yet",
        severity: High,
        rationale: "Unpackers refuse the layer, skip the entry, or link to whatever the next layer or the host has there; a scanner sees no content.",
        remedy: "Pack the file before its further names.",
        bad: "a hard link bin/app to bin/other, and no bin/other before it",
        good: "a file bin/other, then the hard link",
        waivable: false,
    }

    /// A layer that is not compressed as its media type says.
    COMPRESSION_MISMATCH {
        id: "compression-mismatch",
        title: "a layer that is not compressed as its media type says",
        severity: High,
        rationale: "Readers that trust the media type fail or take the compressed bytes for the content; readers that look at the bytes see files.",
        remedy: "Push the image again with a current tool.",
        bad: "plain tar as application/vnd.oci.image.layer.v1.tar+gzip",
        good: "gzip under the media type of gzip",
        waivable: false,
    }

    /// A compressed layer that is damaged.
    LAYER_CORRUPT {
        id: "layer-corrupt",
        title: "a compressed layer that is damaged",
        severity: High,
        rationale: "Readers that stop at the last entry never look at the checksum, others refuse the layer; what was meant cannot be known.",
        remedy: "Build the layer again.",
        bad: "a gzip layer with a wrong CRC, or without its end",
        good: "a whole layer",
        waivable: false,
    }

    /// Bytes behind the compressed data of a layer.
    LAYER_TRAILING_BYTES {
        id: "layer-trailing-bytes",
        title: "bytes behind the compressed data of a layer",
        severity: High,
        rationale: "gzip and many readers ignore them, Go refuses them: they are stored, pulled and signed, and nobody has looked at them.",
        remedy: "Build the layer again.",
        bad: "an archive appended to a gzip layer",
        good: "gzip members, or zstd frames, to the last byte",
        waivable: false,
    }

    /// A layer that grows without measure.
    LAYER_BOMB {
        id: "layer-bomb",
        title: "a layer that grows without measure",
        severity: High,
        rationale: "It fills the disk or the memory of whoever pulls or scans it, and was not read to its end here.",
        remedy: "Leave the file of zeros out and make it at run time.",
        bad: "10 GiB of zeros in 10 MiB of gzip",
        good: "data that compresses to more than a two-hundredth",
        waivable: false,
    }

    /// A zstd frame that needs very much memory.
    ZSTD_WINDOW {
        id: "zstd-window",
        title: "a zstd frame that needs very much memory",
        severity: High,
        rationale: "Decoders refuse windows above 128 MiB unless they are told otherwise: the layer can be read by some and not by others.",
        remedy: "Compress without --ultra and --long.",
        bad: "zstd --ultra --long=31",
        good: "zstd -19",
        waivable: false,
    }

    /// A layer that is not the one of the configuration.
    DIFF_ID_MISMATCH {
        id: "diff-id-mismatch",
        title: "a layer that is not the one that the configuration names",
        severity: Critical,
        rationale: "Runtimes check the uncompressed bytes against the configuration, scanners hardly ever do: the image that was looked at is not the one that runs, or runs nowhere.",
        remedy: "Build the image again.",
        bad: "rootfs.diff_ids with the hash of another layer",
        good: "the sha256 of the uncompressed tar",
        waivable: false,
    }

    /// A layer of a kind that is not read.
    LAYER_MEDIA_TYPE {
        id: "layer-media-type",
        title: "a layer of a kind that is not read",
        severity: High,
        rationale: "Foreign layers are fetched from elsewhere, encrypted ones cannot be read, and of an unknown kind nobody knows what it does: its content was not inspected.",
        remedy: "Build the image with ordinary layers.",
        bad: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        good: "application/vnd.oci.image.layer.v1.tar+gzip",
        waivable: false,
    }

    /// A configuration of other layers than the manifest's.
    CONFIG_LAYER_COUNT {
        id: "config-layer-count",
        title: "a configuration that counts other layers than the manifest",
        severity: Critical,
        rationale: "Tools pair layers and hashes in order; with one more or less, the pairs are others for each, and a layer goes unchecked.",
        remedy: "Build the image again.",
        bad: "three layers and two diff_ids",
        good: "as many diff_ids as layers",
        waivable: false,
    }

    /// An archive that grows without measure.
    ARCHIVE_BOMB {
        id: "archive-bomb",
        title: "an archive that grows without measure",
        severity: High,
        rationale: "It fills the disk or the memory of whoever unpacks it, and was not read to its end here.",
        remedy: "Leave it out, or ship the files themselves.",
        bad: "a zip file of 42 KiB that holds petabytes",
        good: "an archive that grows less than two hundredfold",
        waivable: true,
    }

    /// A zip file with members that its directory does not name.
    ZIP_HIDDEN_MEMBER {
        id: "zip-hidden-member",
        title: "a zip file with bytes that its directory does not name",
        severity: High,
        rationale: "Readers that go by the directory do not see them; readers that go from member to member unpack them. Self-extracting programs and patched archives look alike.",
        remedy: "Make the archive again with an ordinary tool.",
        bad: "a zip file with a member sh that is not in the directory, or a second directory",
        good: "a zip file whose members lie one behind another, all of them listed",
        waivable: true,
    }

    /// A zip file that readers understand differently.
    ZIP_AMBIGUOUS {
        id: "zip-ambiguous",
        title: "a zip file that readers understand differently",
        severity: High,
        rationale: "The directory and the members contradict each other, two members share bytes, or a name occurs twice: what is unpacked depends on the program.",
        remedy: "Make the archive again with an ordinary tool.",
        bad: "a member called a in the directory and b in front of its data",
        good: "one name and one size, said twice alike",
        waivable: true,
    }
}
