// Verifies a key-signed bundle with @sigstore/verify, offline and with an empty trusted root.
//
//   node verify.js PUBLIC_KEY.pem BUNDLE.json SHA256_HEX
//
// Prints the predicate type. The library does not compare the subject, so this script does.
const fs = require('fs');
const crypto = require('crypto');
const { Verifier, toTrustMaterial, toSignedEntity } = require('@sigstore/verify');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');

const [keyFile, bundleFile, digest] = process.argv.slice(2);
try {
  const publicKey = crypto.createPublicKey(fs.readFileSync(keyFile));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const hint = crypto.createHash('sha256').update(spki).digest('base64');
  const root = TrustedRoot.fromJSON({
    mediaType: 'application/vnd.dev.sigstore.trustedroot.v0.2+json',
    tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [],
  });
  const select = (wanted) => {
    if (wanted !== hint) throw new Error(`no key for the hint ${wanted}`);
    return { publicKey, validFor: () => true };
  };
  const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundleFile)));
  const thresholds = { tlogThreshold: 0, timestampThreshold: 0, ctlogThreshold: 0 };
  new Verifier(toTrustMaterial(root, select), thresholds).verify(toSignedEntity(bundle));
  const envelope = bundle.content.dsseEnvelope;
  if (envelope.payloadType !== 'application/vnd.in-toto+json') {
    throw new Error(`payload type ${envelope.payloadType}`);
  }
  const statement = JSON.parse(envelope.payload);
  if (!statement.subject.some((subject) => subject.digest.sha256 === digest)) {
    throw new Error(`no subject has the digest ${digest}`);
  }
  console.log(statement.predicateType);
} catch (error) {
  console.error(`refused: ${error.code || error.name}: ${error.message}`);
  process.exit(1);
}
