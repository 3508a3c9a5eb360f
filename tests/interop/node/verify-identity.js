// Verifies a keyless bundle around a statement with @sigstore/verify, offline.
//
//   node verify-identity.js TRUSTED_ROOT.json BUNDLE.json IDENTITY ISSUER SHA256_HEX
//
// Prints the predicate type. The library does not compare the subject, so this script does.
const fs = require('fs');
const { Verifier, toTrustMaterial, toSignedEntity } = require('@sigstore/verify');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');

const [rootFile, bundleFile, identity, issuer, digest] = process.argv.slice(2);
try {
  const root = TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(rootFile)));
  const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundleFile)));
  const exact = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
  const policy = { subjectAlternativeName: exact(identity), extensions: { issuer } };
  const thresholds = { tlogThreshold: 1, timestampThreshold: 1, ctlogThreshold: 1 };
  new Verifier(toTrustMaterial(root), thresholds).verify(toSignedEntity(bundle), policy);
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
