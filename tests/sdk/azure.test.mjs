// The official Azure SDK against the simulator: what it accepts, and with which error it refuses.
import test from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from '@azure/identity';
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ctl, demoEnv, keyfence, port, variables, withEnv } from './sim.mjs';

const env = process.env;
const options = { authorityHost: env.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true };
const vault = `https://demo.vault.localhost:${port}`;
const hsm = `https://demo.managedhsm.localhost:${port}`;
const noRetry = { retryOptions: { maxRetries: 0 } };
const bySecret = (id = env.AZURE_CLIENT_ID, secret = env.AZURE_CLIENT_SECRET, tenant = env.AZURE_TENANT_ID) => new ClientSecretCredential(tenant, id, secret, options);
const keys = new KeyClient(vault, bySecret());
const crypto = (id, credential = bySecret(), more = {}) => new CryptographyClient(id, credential, more);
const unique = (() => { let n = 0; return (name) => `${name}-${process.pid}-${n++}`; })();

// A wrap by the service itself: an identity that may not read the public key can't do it on its own.
const wrapper = variables(ctl('create-app', 'wrapper'));
ctl('grant', 'demo', 'wrapper', 'wrap,unwrap');
ctl('grant', 'demo', 'wrapper', 'wrap,unwrap', '--hsm');
const byWrapper = (key) => crypto(key.id, bySecret(wrapper.AZURE_CLIENT_ID, wrapper.AZURE_CLIENT_SECRET));
const wrap = (key, plain, algorithm = 'RSA-OAEP-256') => byWrapper(key).wrapKey(algorithm, plain);

async function refused(promise, status, inner, text = /./s) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.statusCode, status, `${error.name}: ${error.message}`);
    const code = error.details?.error?.innerError?.code ?? error.code;
    assert.equal(code, inner, error.message);
    assert.match(error.message, text);
    return true;
  });
}

for (const [kty, size] of [['RSA', 2048], ['RSA', 3072], ['RSA', 4096], ['RSA-HSM', 2048]]) {
  test(`${kty} ${size}: what is wrapped is unwrapped to the same bytes, with the version that did it`, async () => {
    const key = await keys.createKey(unique('rsa'), kty, { keySize: size });
    const plain = randomBytes(64);
    for (const algorithm of ['RSA-OAEP-256', 'RSA-OAEP']) {
      const wrapped = await wrap(key, plain, algorithm);
      assert.equal(wrapped.result.length, size / 8);
      assert.equal(wrapped.keyID, key.id);
      const got = await crypto(wrapped.keyID).unwrapKey(algorithm, wrapped.result);
      assert.deepEqual(Buffer.from(got.result), plain);
    }
  });
}

test('a managed HSM wraps with AES keys', async () => {
  const hsmKeys = new KeyClient(hsm, bySecret());
  const key = await hsmKeys.createOctKey(unique('oct'), { keySize: 256, hsm: true });
  assert.equal(key.keyType, 'oct-HSM');
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain, 'A256KW');
  assert.equal(wrapped.result.length, 72);
  assert.deepEqual(Buffer.from((await crypto(key.id).unwrapKey('A256KW', wrapped.result)).result), plain);
  wrapped.result[5] ^= 1;
  await refused(crypto(key.id).unwrapKey('A256KW', wrapped.result), 400, 'BadParameter');
  // A vault has none of these, and says so in these words.
  await refused(keys.createOctKey(unique('oct'), { hsm: true }), 400, 'KeyTypeNotSupported', /Invalid kty value: oct-HSM/);
});

test('a changed byte is refused', async () => {
  const key = await keys.createRsaKey(unique('changed'));
  const wrapped = await wrap(key, randomBytes(64));
  wrapped.result[7] ^= 1;
  await refused(crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result), 400, 'BadParameter');
});

test('a disabled key is still shown and wraps, but does not unwrap until it is enabled', async () => {
  const key = await keys.createRsaKey(unique('disabled'));
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain);
  await keys.updateKeyProperties(key.name, key.properties.version, { enabled: false });
  assert.equal((await keys.getKey(key.name)).properties.enabled, false);
  await refused(crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result), 403, 'KeyDisabled', /not allowed on a disabled key/);
  await wrap(key, plain);
  await keys.updateKeyProperties(key.name, key.properties.version, { enabled: true });
  assert.deepEqual(Buffer.from((await crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result)).result), plain);
});

test('dates stop wrapping and not unwrapping', async () => {
  const key = await keys.createRsaKey(unique('dates'));
  const wrapped = await wrap(key, randomBytes(64));
  await keys.updateKeyProperties(key.name, key.properties.version, { expiresOn: new Date(Date.now() - 60e3) });
  await refused(wrap(key, randomBytes(64)), 403, 'KeyExpired');
  await byWrapper(key).unwrapKey('RSA-OAEP-256', wrapped.result);
});

test('rotation makes a version; the old one still unwraps what it wrapped, and nothing else does', async () => {
  const key = await keys.createRsaKey(unique('rotated'));
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain);
  const fresh = await keys.rotateKey(key.name);
  assert.notEqual(fresh.id, key.id);
  assert.equal((await keys.getKey(key.name)).id, fresh.id);
  assert.deepEqual(Buffer.from((await crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result)).result), plain);
  await refused(crypto(fresh.id).unwrapKey('RSA-OAEP-256', wrapped.result), 400, 'BadParameter');
  const versions = [];
  for await (const one of keys.listPropertiesOfKeyVersions(key.name)) versions.push(one.id);
  assert.deepEqual(versions.sort(), [key.id, fresh.id].sort());
});

test('a rotation policy is kept', async () => {
  const key = await keys.createRsaKey(unique('policy'));
  await keys.updateKeyRotationPolicy(key.name, { expiresIn: 'P90D', lifetimeActions: [{ action: 'Rotate', timeBeforeExpiry: 'P30D' }] });
  assert.equal((await keys.getKeyRotationPolicy(key.name)).lifetimeActions[0].action, 'Rotate');
});

test('a deleted key is not found, can not be made again, and comes back when recovered', async () => {
  const key = await keys.createRsaKey(unique('deleted'));
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain);
  const deleted = await (await keys.beginDeleteKey(key.name, { intervalInMs: 10 })).pollUntilDone();
  assert.equal(deleted.properties.recoverableDays, 90);
  assert.ok(deleted.properties.scheduledPurgeDate > new Date(Date.now() + 89 * 86400e3));
  await refused(crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result), 404, 'KeyNotFound', /was not found in this key vault/);
  await refused(keys.getKey(key.name), 404, 'KeyNotFound');
  await refused(keys.createRsaKey(key.name), 409, 'ObjectIsDeletedButRecoverable');
  const names = [];
  for await (const one of keys.listDeletedKeys()) names.push(one.name);
  assert.ok(names.includes(key.name));
  await (await keys.beginRecoverDeletedKey(key.name, { intervalInMs: 10 })).pollUntilDone();
  assert.deepEqual(Buffer.from((await crypto(key.id).unwrapKey('RSA-OAEP-256', wrapped.result)).result), plain);
});

test('purging is refused with purge protection, and is final without', async () => {
  const key = await keys.createRsaKey(unique('purged'));
  assert.equal(key.properties.recoveryLevel, 'Recoverable');
  await (await keys.beginDeleteKey(key.name, { intervalInMs: 10 })).pollUntilDone();
  await refused(keys.purgeDeletedKey(key.name), 403, 'Forbidden', /purge protection is enabled/);
  const open = new KeyClient(ctl('create-vault', 'open', '--no-purge-protection'), bySecret());
  const other = await open.createRsaKey(unique('purged'));
  assert.equal(other.properties.recoveryLevel, 'Recoverable+Purgeable');
  await (await open.beginDeleteKey(other.name, { intervalInMs: 10 })).pollUntilDone();
  await open.purgeDeletedKey(other.name);
  await refused(open.getDeletedKey(other.name), 404, 'KeyNotFound');
});

test('keys of the vault are listed', async () => {
  const key = await keys.createRsaKey(unique('listed'), { tags: { volume: 'x' } });
  const names = [];
  for await (const one of keys.listPropertiesOfKeys()) names.push(one.name);
  assert.ok(names.includes(key.name));
  assert.equal((await keys.getKey(key.name)).properties.tags.volume, 'x');
});

// ---- rights ---------------------------------------------------------------------------------------

test('who has no right is refused by role or by policy, and the vault says which', async () => {
  const name = unique('app');
  const app = variables(ctl('create-app', name));
  const theirs = bySecret(app.AZURE_CLIENT_ID, app.AZURE_CLIENT_SECRET);
  const key = await keys.createRsaKey(unique('rights'));
  const wrapped = await wrap(key, randomBytes(64));
  await refused(crypto(key.id, theirs).unwrapKey('RSA-OAEP-256', wrapped.result), 403, 'ForbiddenByRbac', /not authorized to perform action/);
  ctl('grant', 'demo', name, 'unwrap');
  await crypto(key.id, theirs).unwrapKey('RSA-OAEP-256', wrapped.result);
  await refused(new KeyClient(vault, theirs).getKey(key.name), 403, 'ForbiddenByRbac');
  ctl('revoke', 'demo', name);
  await refused(crypto(key.id, theirs).unwrapKey('RSA-OAEP-256', wrapped.result), 403, 'ForbiddenByRbac');
  const policies = ctl('create-vault', 'policies', '--access-policies');
  await refused(new KeyClient(policies, theirs).getKey('any'), 403, 'ForbiddenByPolicy', /does not have keys get permission/);
});

test('the firewall refuses everybody', async (t) => {
  const walled = new KeyClient(ctl('create-vault', 'walled'), bySecret());
  const key = await walled.createRsaKey(unique('walled'));
  ctl('firewall', 'walled', 'on');
  t.after(() => ctl('firewall', 'walled', 'off'));
  await refused(walled.getKey(key.name), 403, 'ForbiddenByFirewall');
});

// ---- tokens ---------------------------------------------------------------------------------------

const entraFails = (credential, code) => assert.rejects(new KeyClient(vault, credential).getKey('any'), (error) => {
  assert.match(error.name, /^Authentication/, error.message);
  assert.match(error.message, new RegExp(`AADSTS${code}`));
  return true;
});

test('a wrong secret, an unknown application and an unknown tenant are refused by Entra', async () => {
  await entraFails(bySecret(undefined, 'wrong'), 7000215);
  await entraFails(bySecret('00000000-0000-4000-8000-000000000000'), 700016);
  const elsewhere = bySecret(undefined, undefined, '00000000-0000-4000-8000-000000000000');
  await assert.rejects(elsewhere.getToken('https://vault.localhost/.default'), /AADSTS90002|endpoints_resolution_error/);
});

// A credential that always has this token.
const fixed = (token) => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600e3 }) });
const tokenFor = async (scope) => (await bySecret().getToken(scope)).token;

test('a token for another resource, a changed one and a foreign one are refused', async () => {
  const good = await tokenFor('https://vault.localhost/.default');
  const get = (token) => new KeyClient(vault, fixed(token), noRetry).getKey('any');
  await refused(get(good), 404, 'KeyNotFound');
  await refused(get(await tokenFor('https://managedhsm.localhost/.default')), 401, 'Unauthorized', /audience/);
  const [head, body, signature] = good.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, oid: 'somebody' })).toString('base64url');
  await refused(get(`${head}.${forged}.${signature}`), 401, 'Unauthorized', /signature/);
  await refused(get(ctl('workload-token', '--audience', 'https://vault.localhost')), 401, 'Unauthorized', /issuer/);
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  await refused(get(`${none}.${body}.`), 401, 'Unauthorized');
});

test('a certificate proves the application; a federated token does, too', async () => {
  const certificate = demoEnv('--azure', 'certificate');
  const byCertificate = new ClientCertificateCredential(certificate.AZURE_TENANT_ID, certificate.AZURE_CLIENT_ID, certificate.AZURE_CLIENT_CERTIFICATE_PATH, options);
  await refused(new KeyClient(vault, byCertificate).getKey('none'), 404, 'KeyNotFound');
  const workload = demoEnv('--azure', 'workload');
  const byWorkload = new WorkloadIdentityCredential({ ...options, tenantId: workload.AZURE_TENANT_ID, clientId: workload.AZURE_CLIENT_ID, tokenFilePath: workload.AZURE_FEDERATED_TOKEN_FILE });
  await refused(new KeyClient(vault, byWorkload).getKey('none'), 404, 'KeyNotFound');
  const app = variables(ctl('create-app', unique('bare')));
  await entraFails(new ClientCertificateCredential(app.AZURE_TENANT_ID, app.AZURE_CLIENT_ID, certificate.AZURE_CLIENT_CERTIFICATE_PATH, options), 700027);
  await entraFails(new WorkloadIdentityCredential({ ...options, tenantId: app.AZURE_TENANT_ID, clientId: app.AZURE_CLIENT_ID, tokenFilePath: workload.AZURE_FEDERATED_TOKEN_FILE }), 70021);
});

for (const source of ['imds', 'app-service']) {
  test(`a managed identity gets its token from ${source}`, async () => {
    await withEnv(demoEnv('--azure', source), async () => {
      await refused(new KeyClient(vault, new ManagedIdentityCredential()).getKey('none'), 404, 'KeyNotFound');
    });
  });
}

test('a user-assigned identity is chosen by its ids, and one that is not there is not found', async () => {
  const name = unique('identity');
  const ids = Object.fromEntries(ctl('create-identity', name).split('\n').map((line) => line.split('=')));
  ctl('grant', 'demo', name, 'get');
  await withEnv(demoEnv('--azure', 'imds'), async () => {
    for (const by of [{ clientId: ids.client_id }, { objectId: ids.object_id }, { resourceId: ids.resource_id }])
      await refused(new KeyClient(vault, new ManagedIdentityCredential(by)).getKey('none'), 404, 'KeyNotFound');
    const nobody = new ManagedIdentityCredential({ clientId: '00000000-0000-4000-8000-000000000000', ...noRetry });
    await assert.rejects(nobody.getToken('https://vault.localhost/.default'), /Identity not found|authentication failed|unavailable/i);
  });
});

test('a claims challenge is answered with a token that was asked for with claims', async (t) => {
  t.after(() => ctl('clear'));
  const client = new KeyClient(vault, bySecret());
  await refused(client.getKey('none'), 404, 'KeyNotFound');
  ctl('fault', 'claims', '--op', 'GetKey');
  await refused(client.getKey('none'), 404, 'KeyNotFound');
  assert.ok(Number(ctl('log', '--op', 'GetKey', '--outcome', 'Unauthorized', '--count')) > 0);
});

// ---- faults ---------------------------------------------------------------------------------------

test('each fault is what the SDK would see of it', async (t) => {
  t.after(() => ctl('clear'));
  const key = await keys.createRsaKey(unique('faults'));
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain);
  const client = crypto(key.id, bySecret(), noRetry);
  const unwrap = () => client.unwrapKey('RSA-OAEP-256', wrapped.result);
  const fault = (...words) => ctl('fault', ...words, '--op', 'UnwrapKey', '--count', '1');
  await unwrap();
  for (const [kind, status, inner] of [['outage', 503, 'ServiceUnavailable'], ['throttle', 429, 'Throttled'], ['firewall', 403, 'ForbiddenByFirewall'], ['deny', 403, 'ForbiddenByRbac']]) {
    fault(kind);
    await refused(unwrap(), status, inner);
  }
  for (const words of [['reset'], ['truncate'], ['garbage'], ['status', '502']]) {
    fault(...words);
    await assert.rejects(unwrap());
  }
  fault('wrong-plaintext');
  assert.notDeepEqual(Buffer.from((await unwrap()).result), plain);
  assert.deepEqual(Buffer.from((await unwrap()).result), plain);
});

test('what the SDK wraps keyfence unwraps, byte for byte', async () => {
  const key = await keys.createKey(unique('rsa'), 'RSA', { keySize: 3072 });
  const plain = randomBytes(64);
  const wrapped = await wrap(key, plain);
  const [digest] = keyfence(`open ${wrapped.keyID} ${wrapped.keyID.split('/').pop()} RSA-OAEP-256 ${Buffer.from(wrapped.result).toString('base64')}`);
  assert.equal(digest, createHash('sha256').update(plain).digest('hex'));
});

test('what keyfence wraps the SDK unwraps, byte for byte', async () => {
  const key = await keys.createKey(unique('rsa'), 'RSA', { keySize: 2048 });
  const file = `${mkdtempSync(`${process.env.HOME ?? tmpdir()}/wrap-`)}/wrap`;
  const [, shown] = keyfence(`wrap ${vault}/keys/${key.name} ${file}`, `show ${file}`);
  const [kid, version, algorithm, wrapped] = shown.split(' ');
  assert.equal(kid, key.id);
  assert.equal(version, key.properties.version);
  const got = await crypto(kid).unwrapKey(algorithm, Buffer.from(wrapped, 'base64'));
  assert.deepEqual(Buffer.from(got.result), Buffer.alloc(64, 7));
});
