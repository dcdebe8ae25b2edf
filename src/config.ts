/**
 * The only reader of `process.env` and of `config/`. A setting that is missing, misspelt or out of range stops the
 * start with one line that names it and says what to do.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Static, TSchema } from 'typebox'
import Value from 'typebox/value'
import { noticeTextsOf, type NoticeTexts } from './noticeTemplates.ts'
import { securityParametersOf, type SecurityParameters } from './securityParameters.ts'
import { programmeOf, wrongAccountTypes, type Programme } from './programmeParameters.ts'
import { SettingsSchema, type LinkConfig, type Settings } from './settings.ts'

/** What a link speaks TLS with, read and checked: see `readCertificates`. */
export interface Certificates {
  readonly cert: Buffer
  readonly key: Buffer
  readonly clientCa: Buffer
}

export interface Config extends Settings {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Secret of the look-up tokens of card numbers. */
  readonly lookupKey: Uint8Array
  readonly programme: Programme
  readonly security: SecurityParameters
  readonly hsm: HsmConfig
  readonly access: AccessConfig
  readonly noticeDelivery: NoticeDelivery
  readonly production: boolean
}

/** Who delivers notices: a provider over HTTP, a file or the log, or nobody, where they wait. */
export type NoticeProviderConfig =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'log' }
  | { readonly kind: 'none' }

export interface NoticeDelivery {
  readonly provider: NoticeProviderConfig
  /** Signs what goes to the provider, and what it reports; undefined: no report is taken. */
  readonly secret: string | undefined
  readonly texts: NoticeTexts
}

/** Whose tokens open the API. `closed`: nobody's; the calls under /v1 are all refused. */
export type AccessConfig =
  | { readonly kind: 'closed' }
  | { readonly kind: 'development'; readonly issuer: string; readonly audience: string }
  | { readonly kind: 'jwks'; readonly jwksUrl: string; readonly issuer: string; readonly audience: string }

/** Where keys live. */
export type HsmConfig =
  | { readonly kind: 'software' }
  | { readonly kind: 'pkcs11'; readonly module: string; readonly tokenLabel: string; readonly pin: string }

/** A setting that cannot be used. The message is the one line an operator reads. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const configFolder = new URL('../config/', import.meta.url)
/** Good enough to try things out, known to everybody: refused in production. */
const DEVELOPMENT_LOOKUP_KEY = 'sarf development look-up key, not secret'

/**
 * @param environment normally `process.env`; what it sets wins over the files
 * @param workers as a command's option says it; wins over both
 * @throws ConfigError
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  workers: string | undefined = environment['SARF_WORKERS'],
): Config {
  const settingsFile = environment['SARF_CONFIG'] ?? fileURLToPath(new URL('sarf.json', configFolder))
  const programmeFile = environment['SARF_PROGRAMME'] ?? fileURLToPath(new URL('programme.json', configFolder))
  const settings = check(
    SettingsSchema,
    withEnvironment(read(SettingsSchema, settingsFile), environment, workers),
    'the environment',
  )
  const programme = programmeOf(readJson(programmeFile))
  if (typeof programme === 'string') throw new ConfigError(`${programmeFile}: ${programme}`)
  const securityFile = environment['SARF_SECURITY'] ?? fileURLToPath(new URL('security.json', configFolder))
  const security = securityParametersOf(readJson(securityFile))
  if (typeof security === 'string') throw new ConfigError(`${securityFile}: ${security}`)
  for (const link of settings.links) {
    const wrong = wrongAccountTypes(link.accountTypes ?? {}, programme.purses)
    if (wrong !== undefined) throw new ConfigError(`${settingsFile}: link ${link.name}: ${wrong}`)
    if (link.bindTerminals === true && link.tls === undefined) {
      throw new ConfigError(
        `${settingsFile}: link ${link.name}: bindTerminals needs tls, whose certificates terminals are bound to`,
      )
    }
  }
  const { leaseMs, deadlineMs } = settings.events.webhooks
  if (leaseMs <= deadlineMs)
    throw new ConfigError(
      `${settingsFile}: events.webhooks.leaseMs must be more than deadlineMs, so that a request ends before another process may send one`,
    )
  const noticesFile = environment['SARF_NOTICES'] ?? fileURLToPath(new URL('notices.json', configFolder))
  const texts = noticeTextsOf(readJson(noticesFile))
  if (typeof texts === 'string') throw new ConfigError(`${noticesFile}: ${texts}`)
  if (settings.notices.leaseMs <= settings.notices.deadlineMs)
    throw new ConfigError(`${settingsFile}: notices.leaseMs must be more than notices.deadlineMs, or a slow notice is sent twice`)
  const production = environment['NODE_ENV'] === 'production'
  const lookupKey = environment['SARF_LOOKUP_KEY'] ?? (production ? undefined : DEVELOPMENT_LOOKUP_KEY)
  if (lookupKey === undefined || lookupKey.length < 32 || Buffer.byteLength(lookupKey) > 64) {
    throw new ConfigError('SARF_LOOKUP_KEY must be set to a secret of 32 to 64 characters; card tokens are made with it')
  }
  const redisUrl = url(environment, 'REDIS_URL', ['redis:', 'rediss:'])
  // Whoever reaches a Redis without one can read and change what decisions are first based on.
  if (production && (URL.parse(redisUrl)?.password ?? '') === '') {
    throw new ConfigError(
      'REDIS_URL must have a password in production: redis://:PASSWORD@HOST:PORT, as requirepass of that Redis says',
    )
  }
  return {
    ...settings,
    links: settings.links.map((link) => withPaths(link, dirname(settingsFile))),
    programme,
    security,
    production,
    hsm: hsmConfig(environment, production),
    access: accessConfig(environment, production),
    noticeDelivery: { ...noticeDelivery(environment, settings.notices, production), texts },
    lookupKey: Buffer.from(lookupKey, 'utf8'),
    databaseUrl: url(environment, 'DATABASE_URL', ['postgres:', 'postgresql:']),
    redisUrl,
  }
}

const DEVELOPMENT_ISSUER = 'sarf development'
const AUDIENCE = 'sarf'

function accessConfig(environment: Readonly<Record<string, string | undefined>>, production: boolean): AccessConfig {
  const { SARF_JWKS_URL: jwksUrl, SARF_TOKEN_ISSUER: issuer, SARF_TOKEN_AUDIENCE: audience = AUDIENCE } = environment
  if (jwksUrl === undefined)
    return production ? { kind: 'closed' } : { kind: 'development', issuer: DEVELOPMENT_ISSUER, audience: AUDIENCE }
  // Whoever can change the keys on their way can be anybody.
  const allowed = production ? ['https:'] : ['https:', 'http:']
  if (!allowed.includes(URL.parse(jwksUrl)?.protocol ?? ''))
    throw new ConfigError(`SARF_JWKS_URL must be an address that begins with ${allowed.join(' or ')}`)
  if (issuer === undefined || issuer === '')
    throw new ConfigError('SARF_TOKEN_ISSUER must be set to the issuer of the tokens (claim iss), because SARF_JWKS_URL is')
  return { kind: 'jwks', jwksUrl, issuer, audience }
}

const DEVELOPMENT_NOTICE_SECRET = 'sarf development notice secret, not secret'
const LOOPBACK: readonly string[] = ['127.0.0.1', '[::1]', 'localhost']

function noticeDelivery(
  environment: Readonly<Record<string, string | undefined>>,
  { file }: Settings['notices'],
  production: boolean,
): Omit<NoticeDelivery, 'texts'> {
  const { SARF_NOTICE_URL: address, SARF_NOTICE_FILE = file } = environment
  const secret = environment['SARF_NOTICE_SECRET'] ?? (production ? undefined : DEVELOPMENT_NOTICE_SECRET)
  if (secret !== undefined && secret.length < 32)
    throw new ConfigError('SARF_NOTICE_SECRET must be a secret of at least 32 characters')
  if (address === undefined) {
    if (production) return { provider: { kind: 'none' }, secret }
    const provider =
      SARF_NOTICE_FILE === undefined ? ({ kind: 'log' } as const) : ({ kind: 'file', file: SARF_NOTICE_FILE } as const)
    return { provider, secret }
  }
  const parsed = URL.parse(address)
  if (production && parsed?.protocol !== 'https:')
    throw new ConfigError('SARF_NOTICE_URL must be an address that begins with https:')
  // The demo programme's mobiles are made up: one may be somebody's.
  if (!production && (parsed?.protocol !== 'http:' || !LOOPBACK.includes(parsed.hostname)))
    throw new ConfigError('SARF_NOTICE_URL must be an address of this machine (http://127.0.0.1:...) outside production')
  if (secret === undefined)
    throw new ConfigError('SARF_NOTICE_SECRET must be set to a secret that the provider has too, because SARF_NOTICE_URL is')
  return { provider: { kind: 'http', url: address }, secret }
}

function hsmConfig(environment: Readonly<Record<string, string | undefined>>, production: boolean): HsmConfig {
  const kind = environment['SARF_HSM'] ?? (production ? undefined : 'software')
  if (kind === 'software' && production)
    throw new ConfigError('SARF_HSM=software has keys that everybody knows: in production set SARF_HSM=pkcs11 (spec/security.md)')
  if (kind === 'software') return { kind }
  if (kind !== 'pkcs11')
    throw new ConfigError('SARF_HSM must be pkcs11 in production; software is for development (spec/security.md)')
  const needed = (name: string, what: string): string => {
    const value = environment[name]
    if (value === undefined || value === '') throw new ConfigError(`${name} must be set to ${what}, because SARF_HSM is pkcs11`)
    return value
  }
  return {
    kind,
    module: needed('SARF_PKCS11_MODULE', "the token's library, a file like /usr/lib/softhsm/libsofthsm2.so"),
    tokenLabel: needed('SARF_PKCS11_TOKEN', 'the label of the token'),
    pin: needed('SARF_PKCS11_PIN', 'the user PIN of the token'),
  }
}

/**
 * The PEM files of a link, read anew at each call; undefined for one that is plain.
 *
 * @throws ConfigError that names the file and says what is wrong with it
 */
export function readCertificates({ name, tls }: LinkConfig): Certificates | undefined {
  if (tls === undefined) return undefined
  const problem = (setting: keyof typeof tls, text: string): ConfigError =>
    new ConfigError(`link ${name}: tls.${setting} ${String(tls[setting])} ${text}`)
  const pem = <T>(setting: 'certFile' | 'keyFile' | 'clientCaFile', what: string, parse: (bytes: Buffer) => T): [Buffer, T] => {
    let bytes
    try {
      bytes = readFileSync(tls[setting])
    } catch (error) {
      throw problem(setting, `cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    }
    try {
      return [bytes, parse(bytes)]
    } catch {
      throw problem(setting, `is not ${what} in PEM`)
    }
  }
  const [cert, own] = pem('certFile', 'a certificate', (bytes) => new X509Certificate(bytes))
  const [key, privateKey] = pem('keyFile', 'a private key without a passphrase', (bytes) => createPrivateKey(bytes))
  const [clientCa, authorities] = pem('clientCaFile', 'one or more certificates', certificatesIn)
  if (!own.checkPrivateKey(privateKey)) throw problem('keyFile', `is not the key of ${tls.certFile}`)
  if (!authorities.every((authority) => authority.ca)) throw problem('clientCaFile', 'holds a certificate that is not a CA')
  return { cert, key, clientCa }
}

function certificatesIn(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  if (blocks === null) throw new ConfigError('no certificate')
  return blocks.map((block) => new X509Certificate(block))
}

function withPaths(link: LinkConfig, folder: string): LinkConfig {
  if (link.tls === undefined) return link
  const { certFile, keyFile, clientCaFile } = link.tls
  const files = {
    certFile: resolve(folder, certFile),
    keyFile: resolve(folder, keyFile),
    clientCaFile: resolve(folder, clientCaFile),
  }
  return { ...link, tls: { ...link.tls, ...files } }
}

function withEnvironment(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  workers: string | undefined,
): Settings {
  const port = (name: string, otherwise: number): number => {
    const text = environment[name]
    if (text === undefined) return otherwise
    const value = Number(text)
    if (!/^\d{1,5}$/.test(text) || value > 65535) throw new ConfigError(`${name} must be a port from 0 to 65535, not "${text}"`)
    return value
  }
  if (workers !== undefined && (!/^\d{1,2}$/.test(workers) || Number(workers) < 1 || Number(workers) > 64))
    throw new ConfigError(`SARF_WORKERS (--workers) must be a number from 1 to 64, not "${workers}"`)
  return {
    ...settings,
    workers: { ...settings.workers, count: workers === undefined ? settings.workers.count : Number(workers) },
    host: environment['SARF_HOST'] ?? settings.host,
    ...(environment['SARF_LOG_LEVEL'] === undefined ? {} : { logLevel: environment['SARF_LOG_LEVEL'] as Settings['logLevel'] }),
    http: { ...settings.http, port: port('SARF_PORT_HTTP', settings.http.port) },
    links: settings.links.map((link) => ({
      ...link,
      port: port(`SARF_PORT_${link.name.toUpperCase().replaceAll('-', '_')}`, link.port),
    })),
  }
}

function read<const T extends TSchema>(schema: T, file: string): Static<T> {
  return check(schema, readJson(file), file)
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function check<const T extends TSchema>(schema: T, value: unknown, origin: string): Static<T> {
  if (Value.Check(schema, value)) return value
  const first = Value.Errors(schema, value)[0]
  throw new ConfigError(`${origin}: ${first?.instancePath ?? '/'} ${first?.message ?? 'is not valid'}`)
}

function url(environment: Readonly<Record<string, string | undefined>>, name: string, schemes: readonly string[]): string {
  const text = environment[name]
  const scheme = text === undefined ? undefined : URL.parse(text)?.protocol
  if (text === undefined || scheme === undefined || !schemes.includes(scheme)) {
    throw new ConfigError(`${name} must be set to a URL that begins with ${schemes[0] ?? ''}// (npm start sets it for you)`)
  }
  return text
}
