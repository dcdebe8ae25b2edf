import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, loadConfig, readCertificates, type Config } from '../src/config.ts'
import type { LinkConfig } from '../src/settings.ts'
import { silentLogger } from '../src/log.ts'
import { startSwitch } from '../src/main.ts'
import { makeAuthority, type TestAuthority, type TestCertificate } from './support/certificates.ts'
import { temporaryDirectory } from './support/stack.ts'

let folder: string
let authority: TestAuthority
let server: TestCertificate

beforeAll(() => {
  folder = temporaryDirectory()
  authority = makeAuthority(folder)
  server = authority.issue('switch', 'serverAuth')
})

const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere', REDIS_URL: 'redis://127.0.0.1:1' }

interface ShippedSettings {
  readonly links: object[]
  readonly events: { readonly webhooks: { leaseMs: number; readonly deadlineMs: number } }
}

/** `config/sarf.json` in a folder of its own, with something added to its first link. */
function configured(added: object, change: (settings: ShippedSettings) => void = () => undefined): Config {
  const settings = JSON.parse(readFileSync(new URL('../config/sarf.json', import.meta.url), 'utf8')) as ShippedSettings
  settings.links[0] = { ...settings.links[0], ...added }
  change(settings)
  const file = join(folder, 'sarf.json')
  writeFileSync(file, JSON.stringify(settings))
  return loadConfig({ ...environment, SARF_CONFIG: file })
}

const tls = (changed: object = {}) => ({
  tls: { certFile: server.certFile, keyFile: server.keyFile, clientCaFile: authority.certFile, ...changed },
})
const written = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const firstLink = ({ links }: Config): LinkConfig => links[0]!

it('a lease of a webhook must outlive a request that is begun under it', () => {
  const asLong = ({ events: { webhooks } }: ShippedSettings): void => {
    webhooks.leaseMs = webhooks.deadlineMs
  }
  expect(() => configured({}, asLong)).toThrow('events.webhooks.leaseMs must be more than deadlineMs')
})

describe('TLS of a link', () => {
  it('is off unless it is asked for', () => {
    for (const link of loadConfig(environment).links) expect([link.tls, readCertificates(link)]).toEqual([undefined, undefined])
  })

  it('has its files read, also by names beside the file of the settings', () => {
    mkdirSync(join(folder, 'keys'), { recursive: true })
    written('keys/own.pem', server.cert.toString())
    const link = firstLink(configured(tls({ certFile: 'keys/own.pem' })))
    expect(link.tls?.certFile).toBe(join(folder, 'keys/own.pem'))
    expect(readCertificates(link)).toEqual({ cert: server.cert, key: server.key, clientCa: authority.cert })
  })

  it('takes several CAs in one file', () => {
    const other = makeAuthority(folder)
    const both = written('both.pem', authority.cert.toString() + other.cert.toString())
    expect(readCertificates(firstLink(configured(tls({ clientCaFile: both }))))?.clientCa).toHaveLength(
      authority.cert.length + other.cert.length,
    )
  })

  it.each<[string, () => object, string]>([
    ['a file that is missing', () => ({ certFile: '/nowhere/own.pem' }), 'tls.certFile /nowhere/own.pem cannot be read'],
    ['no certificate', () => ({ certFile: written('text.pem', 'hello') }), 'text.pem is not a certificate in PEM'],
    ['a certificate as key', () => ({ keyFile: server.certFile }), 'is not a private key without a passphrase in PEM'],
    ['another certificate’s key', () => ({ keyFile: authority.keyFile }), 'is not the key of'],
    ['no CA file', () => ({ clientCaFile: written('empty.pem', '') }), 'empty.pem is not one or more certificates in PEM'],
    ['a CA file with a client’s certificate', () => ({ clientCaFile: server.certFile }), 'holds a certificate that is not a CA'],
    [
      'a CA file of which the second is broken',
      () => ({
        clientCaFile: written('broken.pem', `${authority.cert.toString()}${authority.cert.toString().replace('MII', 'XXX')}`),
      }),
      'broken.pem is not one or more certificates in PEM',
    ],
  ])('%s stops the start with one line that names it, before anything is connected to', async (_, changed, text) => {
    const error: unknown = await startSwitch(configured(tls(changed())), { log: silentLogger }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    const { message } = error as ConfigError
    expect(message).toContain('link atm: tls.')
    expect(message).toContain(text)
    expect(message).not.toContain('\n')
  })

  it.each<[string, object, string]>([
    ['a version that is not safe', { minVersion: 'TLSv1.1' }, '/links/0/tls/minVersion'],
    ['a setting of another name', { rejectUnauthorized: false }, '/links/0/tls'],
    ['no CA', { clientCaFile: undefined }, '/links/0/tls'],
  ])('%s is refused', (_, changed, text) => {
    expect(() => configured(tls(changed))).toThrow(text)
  })

  it('is needed where terminals are to be bound', () => {
    expect(() => configured({ bindTerminals: true })).toThrow('link atm: bindTerminals needs tls')
    expect(firstLink(configured({ ...tls(), bindTerminals: true })).bindTerminals).toBe(true)
  })
})

const production = {
  NODE_ENV: 'production',
  SARF_LOOKUP_KEY: 'a key that only this test has, 32 characters',
  DATABASE_URL: 'postgres://127.0.0.1',
  REDIS_URL: 'redis://:secret@127.0.0.1',
  SARF_HSM: 'pkcs11',
  SARF_PKCS11_MODULE: '/usr/lib/softhsm/libsofthsm2.so',
  SARF_PKCS11_TOKEN: 'sarf',
  SARF_PKCS11_PIN: '1234',
}

describe('in production', () => {
  it.each(['redis://127.0.0.1', 'redis://somebody@127.0.0.1', 'redis://:@127.0.0.1', 'rediss://redis.example:6380/0'])(
    'a Redis without a password is refused: %s',
    (url) => {
      expect(() => loadConfig({ ...production, REDIS_URL: url })).toThrow(ConfigError)
      expect(() => loadConfig({ ...production, REDIS_URL: url })).toThrow('REDIS_URL must have a password in production')
    },
  )

  it('a Redis with a password is taken, with a user or without', () => {
    for (const url of ['redis://:secret@127.0.0.1', 'rediss://somebody:secret@redis.example'])
      expect(loadConfig({ ...production, REDIS_URL: url }).redisUrl).toBe(url)
  })

  it.each([
    ['SARF_HSM', undefined, 'SARF_HSM must be pkcs11 in production'],
    ['SARF_HSM', 'software', 'SARF_HSM=software has keys that everybody knows'],
    ['SARF_PKCS11_MODULE', undefined, 'SARF_PKCS11_MODULE must be set'],
    ['SARF_PKCS11_TOKEN', '', 'SARF_PKCS11_TOKEN must be set'],
    ['SARF_PKCS11_PIN', undefined, 'SARF_PKCS11_PIN must be set'],
  ])('keys that everybody knows are refused: %s=%s', (name, value, text) => {
    expect(() => loadConfig({ ...production, [name]: value })).toThrow(text)
  })

  it('the look-up key of development is not used', () => {
    expect(() => loadConfig({ ...production, SARF_LOOKUP_KEY: undefined })).toThrow('SARF_LOOKUP_KEY must be set')
  })
})

it('in development a Redis without a password will do', () => {
  expect(loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' }).redisUrl).toBe('redis://127.0.0.1')
})
