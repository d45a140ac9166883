// The official AWS SDK against the simulator: what it accepts, and with which exception it refuses.
import test from 'node:test';
import assert from 'node:assert/strict';
import {
  KMSClient, CancelKeyDeletionCommand, CreateAliasCommand, CreateGrantCommand, CreateKeyCommand, DecryptCommand,
  DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, EncryptCommand, GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand, GetKeyPolicyCommand, GetPublicKeyCommand, ListKeysCommand,
  PutKeyPolicyCommand, ReEncryptCommand, ReplicateKeyCommand, RevokeGrantCommand, RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromContainerMetadata, fromHttp, fromInstanceMetadata, fromNodeProviderChain, fromTemporaryCredentials, fromTokenFile } from '@aws-sdk/credential-providers';
import { publicEncrypt, constants } from 'node:crypto';
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ctl, demoEnv, keyfence, port, refused, variables, volume, withEnv } from './sim.mjs';

const region = 'us-east-1';
const kms = new KMSClient({ region });
const sts = new STSClient({ region });
const context = { 'keyfence:volume': 'b2f5ff47-0000-4000-8000-000000000001' };
const account = '111122223333';

const credentialsOf = (text) => {
  const env = variables(text);
  return { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY, sessionToken: env.AWS_SESSION_TOKEN };
};
const createKey = async (input = {}) => (await kms.send(new CreateKeyCommand(input))).KeyMetadata;
const dataKey = (KeyId, EncryptionContext = context) => kms.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 64, EncryptionContext }));
const decrypt = (CiphertextBlob, more = {}, client = kms) => client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: context, ...more }));

test('a data key of 64 bytes is decrypted to the same bytes, and says which key did it', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  const got = await decrypt(made.CiphertextBlob, { KeyId: key.Arn });
  assert.equal(made.Plaintext.length, 64);
  assert.deepEqual(got.Plaintext, made.Plaintext);
  assert.equal(got.KeyId, key.Arn);
  assert.equal(got.KeyMaterialId, made.KeyMaterialId);
});

test('a data key can be made without showing it', async () => {
  const key = await createKey();
  const made = await kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId: key.Arn, KeySpec: 'AES_256' }));
  assert.equal(made.Plaintext, undefined);
  assert.equal((await kms.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }))).Plaintext.length, 32);
});

test('a key is found by id, ARN, alias and alias ARN', async () => {
  const key = await createKey();
  const alias = `alias/sdk/${key.KeyId}`;
  await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key.KeyId }));
  for (const name of [key.KeyId, key.Arn, alias, `arn:aws:kms:${region}:${account}:${alias}`]) {
    const got = await kms.send(new DescribeKeyCommand({ KeyId: name }));
    assert.equal(got.KeyMetadata.Arn, key.Arn);
  }
  await refused(kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key.KeyId })), 'AlreadyExistsException');
  await refused(kms.send(new DescribeKeyCommand({ KeyId: 'alias/none' })), 'NotFoundException', /is not found/);
  const list = await kms.send(new ListKeysCommand({}));
  assert.ok(list.Keys.some((one) => one.KeyArn === key.Arn));
});

test('another encryption context, or none, is an invalid ciphertext', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  await refused(decrypt(made.CiphertextBlob, { EncryptionContext: { 'keyfence:volume': 'x' } }), 'InvalidCiphertextException');
  await refused(decrypt(made.CiphertextBlob, { EncryptionContext: undefined }), 'InvalidCiphertextException');
  const two = await dataKey(key.Arn, { a: '1', b: '2' });
  assert.deepEqual((await decrypt(two.CiphertextBlob, { EncryptionContext: { b: '2', a: '1' } })).Plaintext, two.Plaintext);
});

test('a changed byte anywhere in the ciphertext is refused', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  for (let i = 0; i < made.CiphertextBlob.length; i += 7) {
    const bad = Buffer.from(made.CiphertextBlob);
    bad[i] ^= 1;
    await assert.rejects(decrypt(bad, { KeyId: key.Arn }), (e) => ['InvalidCiphertextException', 'IncorrectKeyException'].includes(e.name));
  }
});

test('a ciphertext of another key is an incorrect key', async () => {
  const [one, two] = [await createKey(), await createKey()];
  const made = await dataKey(one.Arn);
  await refused(decrypt(made.CiphertextBlob, { KeyId: two.Arn }), 'IncorrectKeyException');
});

test('a disabled key is refused by name and works again when enabled', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  await kms.send(new DisableKeyCommand({ KeyId: key.KeyId }));
  await refused(decrypt(made.CiphertextBlob), 'DisabledException', new RegExp(`^${key.Arn} is disabled\\.$`));
  await refused(dataKey(key.Arn), 'DisabledException');
  assert.equal((await kms.send(new DescribeKeyCommand({ KeyId: key.KeyId }))).KeyMetadata.KeyState, 'Disabled');
  await kms.send(new EnableKeyCommand({ KeyId: key.KeyId }));
  assert.deepEqual((await decrypt(made.CiphertextBlob)).Plaintext, made.Plaintext);
});

test('a key pending deletion is refused; a cancelled deletion leaves it disabled', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  const gone = await kms.send(new ScheduleKeyDeletionCommand({ KeyId: key.KeyId, PendingWindowInDays: 7 }));
  assert.equal(gone.KeyState, 'PendingDeletion');
  assert.ok(gone.DeletionDate > new Date(Date.now() + 6 * 86400e3));
  await refused(decrypt(made.CiphertextBlob), 'KMSInvalidStateException', /is pending deletion/);
  await refused(kms.send(new EnableKeyCommand({ KeyId: key.KeyId })), 'KMSInvalidStateException');
  await kms.send(new CancelKeyDeletionCommand({ KeyId: key.KeyId }));
  await refused(decrypt(made.CiphertextBlob), 'DisabledException');
  await kms.send(new EnableKeyCommand({ KeyId: key.KeyId }));
  assert.deepEqual((await decrypt(made.CiphertextBlob)).Plaintext, made.Plaintext);
});

test('each other state has its own words', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  for (const [state, words] of [['PendingImport', /is pending import/], ['Unavailable', /is unavailable/], ['Creating', /is creating/]]) {
    ctl('key-state', key.Arn, state);
    await refused(decrypt(made.CiphertextBlob), 'KMSInvalidStateException', words);
  }
});

test('a key that does not exist is not found, in this region and in others', async () => {
  const key = await createKey();
  await refused(dataKey('00000000-0000-4000-8000-000000000000'), 'NotFoundException', /does not exist/);
  await refused(dataKey(key.Arn.replace(region, 'eu-west-1')), 'NotFoundException', /Invalid arn eu-west-1/);
  const elsewhere = new KMSClient({ region: 'eu-west-1' });
  await refused(elsewhere.send(new DescribeKeyCommand({ KeyId: key.KeyId })), 'NotFoundException');
});

test('rotation changes the material, and what the old one encrypted still opens', async () => {
  const key = await createKey();
  const old = await dataKey(key.Arn);
  await kms.send(new RotateKeyOnDemandCommand({ KeyId: key.KeyId }));
  const fresh = await dataKey(key.Arn);
  assert.notEqual(fresh.KeyMaterialId, old.KeyMaterialId);
  assert.deepEqual((await decrypt(old.CiphertextBlob)).Plaintext, old.Plaintext);
  assert.deepEqual((await decrypt(fresh.CiphertextBlob)).Plaintext, fresh.Plaintext);
  const again = await kms.send(new ReEncryptCommand({ CiphertextBlob: old.CiphertextBlob, DestinationKeyId: key.Arn, SourceEncryptionContext: context, DestinationEncryptionContext: context }));
  assert.equal(again.SourceKeyMaterialId, old.KeyMaterialId);
  assert.equal(again.DestinationKeyMaterialId, fresh.KeyMaterialId);
  assert.deepEqual((await decrypt(again.CiphertextBlob)).Plaintext, old.Plaintext);
});

test('RSA keys encrypt and decrypt with OAEP SHA-256, also what others encrypted with the public key', async () => {
  const key = await createKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
  const plain = Buffer.alloc(64, 7);
  const made = await kms.send(new EncryptCommand({ KeyId: key.Arn, Plaintext: plain, EncryptionAlgorithm }));
  assert.equal(made.CiphertextBlob.length, 256);
  const open = (CiphertextBlob) => kms.send(new DecryptCommand({ KeyId: key.Arn, CiphertextBlob, EncryptionAlgorithm }));
  assert.deepEqual(Buffer.from((await open(made.CiphertextBlob)).Plaintext), plain);
  const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: key.Arn }));
  const outside = publicEncrypt({ key: Buffer.from(PublicKey), format: 'der', type: 'spki', padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, plain);
  assert.deepEqual(Buffer.from((await open(outside)).Plaintext), plain);
  outside[3] ^= 1;
  await refused(open(outside), 'InvalidCiphertextException');
  await refused(dataKey(key.Arn, undefined), 'InvalidKeyUsageException');
  await refused(kms.send(new EncryptCommand({ KeyId: key.Arn, Plaintext: plain })), 'InvalidKeyUsageException');
});

test('a multi-Region key opens in the other region what it closed here, with a state of its own', async () => {
  const key = await createKey({ MultiRegion: true });
  assert.match(key.KeyId, /^mrk-[0-9a-f]{32}$/);
  const made = await dataKey(key.Arn);
  await kms.send(new ReplicateKeyCommand({ KeyId: key.KeyId, ReplicaRegion: 'eu-west-1' }));
  const there = new KMSClient({ region: 'eu-west-1' });
  await kms.send(new DisableKeyCommand({ KeyId: key.KeyId }));
  assert.deepEqual((await decrypt(made.CiphertextBlob, {}, there)).Plaintext, made.Plaintext);
  await refused(decrypt(made.CiphertextBlob), 'DisabledException');
  const replica = await there.send(new DescribeKeyCommand({ KeyId: key.KeyId }));
  assert.equal(replica.KeyMetadata.MultiRegionConfiguration.MultiRegionKeyType, 'REPLICA');
});

test('a dry run says that it would have worked, or why it would not', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  await refused(decrypt(made.CiphertextBlob, { DryRun: true }), 'DryRunOperationException');
  await kms.send(new DisableKeyCommand({ KeyId: key.KeyId }));
  await refused(decrypt(made.CiphertextBlob, { DryRun: true }), 'DisabledException');
});

// ---- rights ---------------------------------------------------------------------------------------

test('a key policy allows and denies by principal and by encryption context', async () => {
  const key = await createKey();
  const user = `u${Date.now()}`;
  const arn = ctl('create-user', user);
  ctl('policy', `user/${user}`, '{"Statement":[]}');
  const theirs = new KMSClient({ region, credentials: credentialsOf(ctl('access-key', `user/${user}`)) });
  const made = await dataKey(key.Arn);
  const mine = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' };
  const put = (...Statement) => kms.send(new PutKeyPolicyCommand({ KeyId: key.Arn, PolicyName: 'default', Policy: JSON.stringify({ Version: '2012-10-17', Statement: [mine, ...Statement] }) }));

  await refused(decrypt(made.CiphertextBlob, {}, theirs), 'AccessDeniedException', /not authorized to perform: kms:Decrypt/);
  await put({ Effect: 'Allow', Principal: { AWS: arn }, Action: 'kms:Decrypt', Resource: '*', Condition: { StringEquals: { 'kms:EncryptionContext:keyfence:volume': context['keyfence:volume'] } } });
  assert.deepEqual((await decrypt(made.CiphertextBlob, {}, theirs)).Plaintext, made.Plaintext);
  await refused(theirs.send(new GenerateDataKeyCommand({ KeyId: key.Arn, NumberOfBytes: 64 })), 'AccessDeniedException');
  const other = await dataKey(key.Arn, { 'keyfence:volume': 'other' });
  await refused(decrypt(other.CiphertextBlob, { EncryptionContext: { 'keyfence:volume': 'other' } }, theirs), 'AccessDeniedException');
  await put({ Effect: 'Deny', Principal: '*', Action: 'kms:Decrypt', Resource: '*' });
  await refused(decrypt(made.CiphertextBlob), 'AccessDeniedException', /explicit deny in a resource-based policy/);
  assert.match((await kms.send(new GetKeyPolicyCommand({ KeyId: key.Arn }))).Policy, /Deny/);
  await refused(put({ Effect: 'Allow', NotPrincipal: '*', Action: 'kms:*', Resource: '*' }), 'MalformedPolicyDocumentException');
});

test('a grant gives a right, bound to an encryption context, until it is revoked', async () => {
  const key = await createKey();
  const user = `g${Date.now()}`;
  const arn = ctl('create-user', user);
  ctl('policy', `user/${user}`, '{"Statement":[]}');
  const theirs = new KMSClient({ region, credentials: credentialsOf(ctl('access-key', `user/${user}`)) });
  const made = await dataKey(key.Arn);
  const grant = await kms.send(new CreateGrantCommand({ KeyId: key.Arn, GranteePrincipal: arn, Operations: ['Decrypt'], Constraints: { EncryptionContextSubset: context } }));
  assert.deepEqual((await decrypt(made.CiphertextBlob, { GrantTokens: [grant.GrantToken] }, theirs)).Plaintext, made.Plaintext);
  await refused(decrypt(made.CiphertextBlob, { GrantTokens: ['nonsense'] }, theirs), 'InvalidGrantTokenException');
  await refused(theirs.send(new DescribeKeyCommand({ KeyId: key.Arn })), 'AccessDeniedException');
  await kms.send(new RevokeGrantCommand({ KeyId: key.Arn, GrantId: grant.GrantId }));
  await refused(decrypt(made.CiphertextBlob, {}, theirs), 'AccessDeniedException');
});

test('another account needs the key policy and its own', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  const user = `x${Date.now()}`;
  ctl('create-user', user, '--account', '999988887777');
  const theirs = new KMSClient({ region, credentials: credentialsOf(ctl('access-key', `user/${user}`)) });
  await refused(decrypt(made.CiphertextBlob, { KeyId: key.Arn }, theirs), 'AccessDeniedException');
  ctl('key-policy', key.Arn, JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { AWS: ['arn:aws:iam::999988887777:root', `arn:aws:iam::${account}:root`] }, Action: 'kms:*', Resource: '*' }] }));
  assert.deepEqual((await decrypt(made.CiphertextBlob, { KeyId: key.Arn }, theirs)).Plaintext, made.Plaintext);
  ctl('policy', `user/${user}`, '{"Statement":[]}');
  await refused(decrypt(made.CiphertextBlob, { KeyId: key.Arn }, theirs), 'AccessDeniedException', /identity-based/);
});

// ---- signatures and tokens ------------------------------------------------------------------------

const own = () => ({ accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY });

test('a wrong secret, an unknown access key and a foreign token are refused', async () => {
  const list = (credentials) => new KMSClient({ region, credentials }).send(new ListKeysCommand({}));
  await refused(list({ ...own(), secretAccessKey: 'x'.repeat(40) }), 'InvalidSignatureException', /does not match/);
  await refused(list({ ...own(), accessKeyId: 'AKIAAAAAAAAAAAAAAAAA' }), 'UnrecognizedClientException');
  await refused(list({ ...own(), sessionToken: 'stolen' }), 'UnrecognizedClientException');
  const [one, two] = [1, 2].map(() => credentialsOf(ctl('access-key', 'role/demo-machine')));
  await list(one);
  await refused(list({ ...one, sessionToken: two.sessionToken }), 'UnrecognizedClientException');
  await refused(list({ ...one, sessionToken: undefined }), 'UnrecognizedClientException');
});

test('a session that is over has an expired token', async () => {
  const credentials = credentialsOf(ctl('access-key', 'role/demo-machine', '--lifetime', '0'));
  await refused(new KMSClient({ region, credentials }).send(new ListKeysCommand({})), 'ExpiredTokenException');
});

test('a request changed after it was signed is refused', async () => {
  const changed = new KMSClient({ region });
  changed.middlewareStack.add((next) => (args) => {
    args.request.body = args.request.body.replace('"Limit":7', '"Limit":8');
    return next(args);
  }, { step: 'finalizeRequest', priority: 'low', name: 'tamper' });
  await changed.send(new ListKeysCommand({}));
  await refused(changed.send(new ListKeysCommand({ Limit: 7 })), 'InvalidSignatureException', /does not match/);
});

test('a header changed after it was signed is refused', async () => {
  const changed = new KMSClient({ region });
  changed.middlewareStack.add((next) => (args) => {
    args.request.headers['x-amz-target'] = 'TrentService.CreateKey';
    return next(args);
  }, { step: 'finalizeRequest', priority: 'low', name: 'tamper' });
  await refused(changed.send(new ListKeysCommand({})), 'InvalidSignatureException');
});

test('a signature for another service is refused', async () => {
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const { Hash } = await import('@smithy/hash-node');
  const signer = new SignatureV4({ service: 'sts', region, credentials: own(), sha256: Hash.bind(null, 'sha256') });
  const wrong = new KMSClient({ region, signer });
  await refused(wrong.send(new ListKeysCommand({})), 'InvalidSignatureException', /correct service: 'kms'/);
});

test('an old or early timestamp is refused, and the SDK finds the time from the answer', async () => {
  for (const minutes of [-6, 6]) {
    const systemClockOffset = minutes * 60e3;
    const once = new KMSClient({ region, systemClockOffset, maxAttempts: 1 });
    await refused(once.send(new ListKeysCommand({})), 'InvalidSignatureException', minutes < 0 ? /Signature expired: .*- 5 min/ : /not yet current: .*\+ 5 min/);
    await new KMSClient({ region, systemClockOffset }).send(new ListKeysCommand({}));
  }
  await new KMSClient({ region, systemClockOffset: -4 * 60e3, maxAttempts: 1 }).send(new ListKeysCommand({}));
});

// ---- STS and where credentials come from ----------------------------------------------------------

test('STS says who is calling, and lends roles', async () => {
  assert.equal((await sts.send(new GetCallerIdentityCommand({}))).Arn, `arn:aws:iam::${account}:user/demo`);
  const role = await sts.send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/demo-machine`, RoleSessionName: 'sdk' }));
  assert.equal(role.AssumedRoleUser.Arn, `arn:aws:sts::${account}:assumed-role/demo-machine/sdk`);
  const c = role.Credentials;
  const asRole = new STSClient({ region, credentials: { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken } });
  assert.equal((await asRole.send(new GetCallerIdentityCommand({}))).Account, account);
  await refused(sts.send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/none`, RoleSessionName: 'sdk' })), 'AccessDenied', /not authorized to perform: sts:AssumeRole/);
  const bad = new STSClient({ region, credentials: { ...own(), secretAccessKey: 'y' } });
  await refused(bad.send(new GetCallerIdentityCommand({})), 'SignatureDoesNotMatch');
});

test('a role with an external id wants to hear it', async () => {
  const RoleArn = ctl('create-role', `e${Date.now()}`, '--external-id', 'sesame');
  await refused(sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'sdk' })), 'AccessDenied');
  await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'sdk', ExternalId: 'sesame' }));
});

test('a web identity gets the role that trusts it, and no other', async () => {
  const ask = (WebIdentityToken, name = 'demo-workload') => sts.send(new AssumeRoleWithWebIdentityCommand({ RoleArn: `arn:aws:iam::${account}:role/${name}`, RoleSessionName: 'sdk', WebIdentityToken }));
  await ask(ctl('workload-token'));
  await refused(ask(ctl('workload-token', '--subject', 'somebody')), 'AccessDenied');
  await refused(ask(ctl('workload-token'), 'demo-machine'), 'AccessDenied');
  await refused(ask(ctl('workload-token', '--audience', 'other')), 'InvalidIdentityTokenException');
  await refused(ask(ctl('workload-token', '--lifetime', '-1m')), 'ExpiredTokenException');
  const token = ctl('workload-token');
  await refused(ask(token.slice(0, -4) + 'AAAA'), 'InvalidIdentityTokenException');
});

const identityBy = async (credentials) => (await new STSClient({ region, credentials }).send(new GetCallerIdentityCommand({}))).Arn;

test('IMDSv2 hands out the role of the instance', async () => {
  await withEnv(demoEnv('--aws', 'imds'), async () => {
    assert.match(await identityBy(fromInstanceMetadata()), /assumed-role\/demo-machine\/i-/);
    assert.match(await identityBy(fromNodeProviderChain()), /assumed-role\/demo-machine\/i-/);
  });
  const reply = await fetch(`http://127.0.0.1:${port}/latest/meta-data/iam/security-credentials/`);
  assert.equal(reply.status, 401);
});

test('the container endpoint hands out the role of the container, for the right token only', async () => {
  const env = demoEnv('--aws', 'container');
  await withEnv(env, async () => {
    assert.match(await identityBy(fromHttp()), /assumed-role\/demo-machine\/container/);
    assert.match(await identityBy(fromContainerMetadata()), /assumed-role\/demo-machine\/container/);
  });
  await withEnv({ ...env, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'wrong' }, () => assert.rejects(identityBy(fromHttp({ maxRetries: 0 }))));
});

test('a token file and a chain of roles work as the SDK has them', async () => {
  await withEnv(demoEnv('--aws', 'web-identity'), async () => {
    assert.match(await identityBy(fromTokenFile({ roleSessionName: 'sdk', clientConfig: { region } })), /assumed-role\/demo-workload\/sdk/);
  });
  const chain = fromTemporaryCredentials({ params: { RoleArn: `arn:aws:iam::${account}:role/demo-workload`, RoleSessionName: 'chain' }, clientConfig: { region } });
  assert.match(await identityBy(chain), /assumed-role\/demo-workload\/chain/);
});

// ---- faults ---------------------------------------------------------------------------------------

test('each fault is what the SDK would see of it', async (t) => {
  t.after(() => ctl('clear'));
  const key = await createKey();
  const made = await dataKey(key.Arn);
  const once = new KMSClient({ region, maxAttempts: 1 });
  const fault = (...words) => ctl('fault', ...words, '--op', 'Decrypt', '--count', '1');
  const fails = (name) => refused(decrypt(made.CiphertextBlob, {}, once), name);
  fault('outage');
  await fails('KMSInternalException');
  fault('throttle');
  await fails('ThrottlingException');
  fault('expired');
  await fails('ExpiredTokenException');
  fault('firewall');
  await fails('AccessDeniedException');
  fault('skew', '10m');
  await fails('InvalidSignatureException');
  for (const words of [['reset'], ['truncate'], ['garbage'], ['status', '502']]) {
    fault(...words);
    await assert.rejects(decrypt(made.CiphertextBlob, {}, once));
  }
  fault('wrong-plaintext');
  assert.notDeepEqual((await decrypt(made.CiphertextBlob, {}, once)).Plaintext, made.Plaintext);
  ctl('fault', 'throttle', '--op', 'Decrypt', '--count', '2');
  assert.deepEqual((await decrypt(made.CiphertextBlob)).Plaintext, made.Plaintext);
});

test('the log counts the requests', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn);
  for (let i = 0; i < 3; i++) await decrypt(made.CiphertextBlob);
  assert.equal(ctl('log', '--op', 'Decrypt', '--key', key.KeyId, '--count'), '3');
  const line = JSON.parse(ctl('log', '--op', 'GenerateDataKey', '--key', key.KeyId));
  assert.equal(line.request_id, made.$metadata.requestId);
  assert.equal(line.outcome, 'ok');
});

test('what the SDK wraps keyfence unwraps, byte for byte', async () => {
  const key = await createKey();
  const made = await dataKey(key.Arn, { 'keyfence:volume': volume });
  const wrapped = Buffer.from(made.CiphertextBlob).toString('base64');
  const [digest] = keyfence(`open ${key.Arn} ${made.KeyMaterialId ?? '-'} SYMMETRIC_DEFAULT ${wrapped}`);
  assert.equal(digest, createHash('sha256').update(made.Plaintext).digest('hex'));
});

test('what keyfence wraps the SDK unwraps, byte for byte, in its context only', async () => {
  const key = await createKey();
  const file = `${mkdtempSync(`${process.env.HOME ?? tmpdir()}/wrap-`)}/wrap`;
  const [, shown] = keyfence(`wrap ${key.Arn} ${file}`, `show ${file}`);
  const [arn, , algorithm, wrapped] = shown.split(' ');
  const blob = Buffer.from(wrapped, 'base64');
  assert.equal(arn, key.Arn);
  assert.equal(algorithm, 'SYMMETRIC_DEFAULT');
  const got = await decrypt(blob, { KeyId: arn, EncryptionContext: { 'keyfence:volume': volume } });
  assert.deepEqual(Buffer.from(got.Plaintext), Buffer.alloc(64, 7));
  await refused(decrypt(blob, { KeyId: arn, EncryptionContext: context }), 'InvalidCiphertextException');
});
