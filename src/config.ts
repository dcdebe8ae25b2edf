/**
 * The only reader of `process.env` and of `config/`. A setting that is missing, misspelt or out of range stops the
 * start with one line that names it and says what to do.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { noticeTextsOf, type NoticeTexts } from './noticeTemplates.ts'
import { securityParametersOf, type SecurityParameters } from './securityParameters.ts'
import { programmeOf, wrongAccountTypes, type Programme } from './programmeParameters.ts'

const count = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum })
const closed = { additionalProperties: false }

const linkKey = Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,38}(\\{terminal\\})?$' })

/** How PIN blocks come by a link; absent: a message with one is refused. */
const PinSchema = Type.Object(
  {
    /** ISO 9564-1 format of a block whose message does not say. */
    format: Type.Union([Type.Literal(0), Type.Literal(3), Type.Literal(4)]),
    /** `zone`: PIN keys of the link, or of each terminal where the name has {terminal} (P0). `dukpt`: base keys (B0). */
    management: Type.Union([Type.Literal('zone'), Type.Literal('dukpt')]),
    /** For formats 0 and 3, and for 4; under DUKPT for key serial numbers of 10 and of 12 bytes. Absent: not taken. */
    tdesKey: Type.Optional(linkKey),
    aesKey: Type.Optional(linkKey),
  },
  closed,
)

/** PEM files; a relative name is looked for beside the file that holds the setting. */
const TlsSchema = Type.Object(
  {
    /** The switch's own certificate, and those between it and its CA. */
    certFile: Type.String({ minLength: 1 }),
    keyFile: Type.String({ minLength: 1 }),
    /** The CAs whose certificates let a client in: those of this link's acquirers, never a public one. */
    clientCaFile: Type.String({ minLength: 1 }),
    minVersion: Type.Optional(Type.Enum(['TLSv1.2', 'TLSv1.3'])),
  },
  closed,
)

const LinkSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,10}$' }),
    /** 0 lets the system choose: for tests. */
    port: count(0, 65535),
    spec: Type.Union([Type.Literal('ascii'), Type.Literal('bcd'), Type.Literal('hex')]),
    framing: Type.Union([Type.Literal('length2'), Type.Literal('length2-tpdu'), Type.Literal('length4')]),
    /** Which time of the message belongs to its idempotency key: DE 7, or DE 13 + DE 12 where repeats refresh DE 7. */
    keyTime: Type.Union([Type.Literal('transmission'), Type.Literal('local')]),
    /** Purses by account type of DE 3, where this acquirer's differ from the programme's. */
    accountTypes: Type.Optional(Type.Record(Type.String({ pattern: '^\\d{2}$' }), Type.String())),
    pin: Type.Optional(PinSchema),
    /** Every message carries a MAC in DE 64 or 128, both ways; absent: none is looked at. */
    mac: Type.Optional(
      Type.Object(
        {
          /** M3 retail MAC, M6 CMAC; of the link, or of each terminal where its name has {terminal}. */
          key: linkKey,
        },
        closed,
      ),
    ),
    /** Key encryption key (K0, K1) under which this peer sends new keys (0800, DE 70 161); absent: it may send none. */
    transportKey: Type.Optional(linkKey),
    /** Absent: the link is plain TCP. */
    tls: Type.Optional(TlsSchema),
    /** Only terminals that the registry binds to the client's certificate may use this link. */
    bindTerminals: Type.Optional(Type.Boolean()),
    /** It is a hotline's: it may send updates of the hot card file (0302). */
    hotCards: Type.Optional(Type.Boolean()),
  },
  closed,
)

const TransportSchema = Type.Object(
  {
    frameBytesMax: count(64, 65535),
    partialFrameMs: count(10, 600_000),
    /** A TLS handshake that is not over by then ends its connection. */
    handshakeMs: count(10, 600_000),
    idleMs: count(10, 86_400_000),
    connectionsPerAddressMax: count(1, 100_000),
    inFlightPerConnectionMax: count(1, 100_000),
    /** A peer that does not read its answers is paused above this many unsent bytes. */
    unsentBytesMax: count(1024, 100_000_000),
  },
  closed,
)

/** What is told to others: `GET /v1/events` and webhooks (spec/events.md). */
const EventsSchema = Type.Object(
  {
    /** How often a process looks for what is new: for those it tells, and for the cards that other processes changed. */
    pollMs: count(10, 60_000),
    /** Event numbers a reading. */
    pageMax: count(1, 10_000),
    /** Events that a process keeps for streams that are up with it; who is behind reads them from Postgres. */
    recentMax: count(1, 1_000_000),
    /** Events before its start whose cards a process tells Redis again. */
    lookBackMax: count(0, 1_000_000),
    streams: Type.Object(
      {
        max: count(0, 100_000),
        perCallerMax: count(0, 100_000),
        /** A comment is sent when there was nothing for so long. */
        heartbeatMs: count(10, 600_000),
        /** What a client is told to wait before it connects again. */
        reconnectMs: count(0, 600_000),
        /** Who takes nothing for so long is disconnected. */
        stalledMs: count(100, 3_600_000),
      },
      closed,
    ),
    webhooks: Type.Object(
      {
        max: count(0, 10_000),
        /** Events a request. */
        batchMax: count(1, 10_000),
        /** For the whole of a request and its answer. */
        deadlineMs: count(10, 600_000),
        /** Requests with the same events; after the last one they are given up. */
        attemptsMax: count(1, 1000),
        /** Wait after the first failure; doubled after each one more. */
        retryMs: count(1, 3_600_000),
        retryMaxMs: count(1, 86_400_000),
        /** A process that is not heard of for so long loses a webhook to another one; more than `deadlineMs`. */
        leaseMs: count(20, 3_600_000),
        /** In production: requests may also go to loopback, link-local and private addresses. */
        privateAddresses: Type.Boolean(),
      },
      closed,
    ),
  },
  closed,
)

const NoticesSchema = Type.Object(
  {
    /** Off, this process sends none; they wait for another. */
    enabled: Type.Boolean(),
    /** Where nothing is really sent: a line of JSON for each, with the mobile; absent: a line in the log, without. SARF_NOTICE_FILE wins. */
    file: Type.Optional(Type.String({ minLength: 1 })),
    /** What went to that file or the log counts as delivered. */
    deliversAtOnce: Type.Boolean(),
    /** How often a queue that is empty is looked at, how many are sent at once. */
    everyMs: count(10, 600_000),
    batchMax: count(1, 1000),
    /** A notice whose process has not marked it by then is sent by another; more than a sending takes. */
    leaseMs: count(1000, 3_600_000),
    /** For one call to the provider. */
    deadlineMs: count(100, 600_000),
    /** A notice that failed is tried again after `backoffMs`, then twice as long each time; after the last attempt it is dead. */
    attemptsMax: count(1, 100),
    backoffMs: count(10, 3_600_000),
    backoffMaxMs: count(10, 86_400_000),
    /** What did not arrive is sent again after `undeliveredMs`, so often in all. */
    roundsMax: count(1, 20),
    undeliveredMs: count(1000, 604_800_000),
    /** A notice that names a place, of which no report came for so long, did not arrive. */
    unansweredHours: count(1, 720),
    /** How old a delivery report may be when it comes, and how far ahead. */
    receiptWindowMs: count(1000, 86_400_000),
    /** What people were told is forgotten after so long. */
    keepDays: count(1, 3660),
  },
  closed,
)

const SettingsSchema = Type.Object(
  {
    host: Type.String({ minLength: 1 }),
    http: Type.Object(
      {
        port: count(0, 65535),
        /** 0 switches the limit off (load tests). */
        requestsPerMinutePerAddress: count(0, 10_000_000),
        /** The same of whoever a token names, transactions excepted: how many of those are under way is bounded by itself. */
        requestsPerMinutePerCaller: count(0, 10_000_000),
        /** Tokens that are not good, of one address; 0: as many as come. Whoever shows a good one is not held up by a neighbour. */
        failedTokensPerMinutePerAddress: count(0, 10_000_000),
        bodyBytesMax: count(1024, 1_048_576),
        requestMs: count(100, 600_000),
        pin: Type.Optional(PinSchema),
      },
      closed,
    ),
    links: Type.Array(LinkSchema, { minItems: 1, maxItems: 64 }),
    transport: TransportSchema,
    authorization: Type.Object(
      {
        /** After this a submitted message that is still unknown stays unanswered, so that the terminal reverses. */
        deadlineMs: count(100, 60_000),
        /** Messages under way in this process; above it the answer is 91 at once. */
        queueMax: count(1, 1_000_000),
        /** How often a message may be decided again before it is answered 91. */
        attemptsMax: count(1, 100),
        /** Requests whose key time is further away than this are refused; partitions are kept for it. */
        retentionDays: count(1, 60),
      },
      closed,
    ),
    redis: Type.Object(
      {
        /** Items of a batch; Lua's stack bounds it. */
        batchMax: count(1, 1000),
        callsInFlightMax: count(1, 64),
        callMs: count(10, 60_000),
        reconnectMs: count(10, 60_000),
        /** Cards that are loaded into a Redis that is new or has lost everything; how long a start waits for it before it listens. */
        preloadMax: count(0, 100_000_000),
        preloadMs: count(0, 600_000),
      },
      closed,
    ),
    ledger: Type.Object(
      {
        batchMax: count(1, 10_000),
        /** Connections that carry group commits; one is also kept for look-ups. */
        connections: count(1, 32),
        statementMs: count(100, 600_000),
        reconnectMs: count(10, 60_000),
        partitionsAheadMonths: count(1, 24),
      },
      closed,
    ),
    sweeper: Type.Object(
      { everyMs: count(10, 3_600_000), reservationAgeMs: count(10, 86_400_000), batchMax: count(1, 1000) },
      closed,
    ),
    /** Keys that peers send: how long the one before stays good, and how old what is known of them may be. */
    sessionKeys: Type.Object({ overlapMs: count(0, 86_400_000), freshMs: count(0, 3_600_000) }, closed),
    /** Terminals and merchants are cached in the process and read again when older than `freshMs`. */
    registry: Type.Object({ freshMs: count(0, 3_600_000), terminalsMax: count(1, 10_000_000) }, closed),
    /** Work that is not a message: the opening of purses for a month. Off, only the first use of a card opens its purses. */
    jobs: Type.Object(
      {
        enabled: Type.Boolean(),
        /** Purses a SQL transaction. */
        chunk: count(1, 1000),
        /** Share of the time it works; it pauses for the rest, so that authorizations go on. */
        busyPercent: count(1, 100),
        statementMs: count(100, 600_000),
        /** A failed run is tried again so often, after `retryDelayS` and then later and later. */
        retries: count(0, 1000),
        retryDelayS: count(1, 3600),
        /** A run whose process has not been heard of for so long is tried again. */
        heartbeatS: count(10, 3600),
        /** What time does to cards: how often it is looked at, rows a SQL statement, how long answers to Idempotency-Keys are kept. */
        cardClocks: Type.Object({ everyMinutes: count(1, 59), chunk: count(1, 10_000), requestKeepDays: count(1, 366) }, closed),
      },
      closed,
    ),
    events: EventsSchema,
    notices: NoticesSchema,
    /** Changes of the programme that people and systems ask for over HTTP. */
    desk: Type.Object(
      {
        connections: count(1, 32),
        statementMs: count(100, 600_000),
        /** File updates by message (0302) that are under way at once; above it the answer is 91. */
        fileUpdatesMax: count(1, 100_000),
      },
      closed,
    ),
    settlement: Type.Object(
      {
        /** How often terminals are added up; closing a shift adds up the rest. */
        addUpEveryMs: count(100, 3_600_000),
        /** Shifts that are being closed in this process; above it the answer is 91. */
        shiftsWaitingMax: count(1, 10_000),
        /** How long closing a shift waits for commits that began before it. */
        patienceMs: count(100, 60_000),
      },
      closed,
    ),
    /** Files of card orders: how many rows, how long one may be, how many are done in a SQL transaction, and how long a file may take to come. */
    cardOrders: Type.Object(
      {
        rowsMax: count(1, 10_000_000),
        rowBytesMax: count(64, 65_536),
        chunkRows: count(1, 5000),
        arrivesWithinMs: count(1000, 3_600_000),
      },
      closed,
    ),
    drainMs: count(100, 600_000),
    logLevel: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
  },
  closed,
)

export type LinkConfig = Static<typeof LinkSchema>
/** What messages need to know of the link they came by; HTTP has one too. */
export type MessageLink = Pick<LinkConfig, 'name' | 'keyTime' | 'accountTypes' | 'pin' | 'mac' | 'transportKey' | 'hotCards'>

/** What a link speaks TLS with, read and checked: see `readCertificates`. */
export interface Certificates {
  readonly cert: Buffer
  readonly key: Buffer
  readonly clientCa: Buffer
}

export type TransportLimits = Static<typeof TransportSchema>
export type Settings = Static<typeof SettingsSchema>

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
 * @throws ConfigError
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const settingsFile = environment['SARF_CONFIG'] ?? fileURLToPath(new URL('sarf.json', configFolder))
  const programmeFile = environment['SARF_PROGRAMME'] ?? fileURLToPath(new URL('programme.json', configFolder))
  const settings = check(SettingsSchema, withEnvironment(read(SettingsSchema, settingsFile), environment), 'the environment')
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

function withEnvironment(settings: Settings, environment: Readonly<Record<string, string | undefined>>): Settings {
  const port = (name: string, otherwise: number): number => {
    const text = environment[name]
    if (text === undefined) return otherwise
    const value = Number(text)
    if (!/^\d{1,5}$/.test(text) || value > 65535) throw new ConfigError(`${name} must be a port from 0 to 65535, not "${text}"`)
    return value
  }
  return {
    ...settings,
    host: environment['SARF_HOST'] ?? settings.host,
    ...(environment['SARF_LOG_LEVEL'] === undefined ? {} : { logLevel: environment['SARF_LOG_LEVEL'] as Settings['logLevel'] }),
    http: { ...settings.http, port: port('SARF_PORT_HTTP', settings.http.port) },
    links: settings.links.map((link) => ({
      ...link,
      port: port(`SARF_PORT_${link.name.toUpperCase().replaceAll('-', '_')}`, link.port),
    })),
  }
}

function read<const T extends Type.TSchema>(schema: T, file: string): Static<T> {
  return check(schema, readJson(file), file)
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function check<const T extends Type.TSchema>(schema: T, value: unknown, origin: string): Static<T> {
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
