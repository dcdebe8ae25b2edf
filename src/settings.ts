/** What `config/sarf.json` may hold: every port, link, limit, queue and wait, with its unit in its name and its range. Read and checked by config.ts. */
import Type, { type Static } from 'typebox'
import { BankSchema } from './bankSettings.ts'

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

const PaceBounds = { messagesPerSecondMax: count(1, 1_000_000), messagesBurstMax: count(1, 1_000_000) }

/** How fast a link is read from; who sends more waits, and is not refused. */
const PaceSchema = Type.Object(
  {
    /** Each connection; held to it always, or only while others who keep theirs are sending, and nobody is harmed otherwise. */
    connection: Type.Optional(Type.Object({ ...PaceBounds, held: Type.Enum(['always', 'while-others-send']) }, closed)),
    /** All connections of it together, in this process: they share it equally. */
    link: Type.Optional(Type.Object(PaceBounds, closed)),
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
    /** Acquirers (DE 32) that may close a shift of all their terminals by this link; its own name needs none. */
    acquirers: Type.Optional(Type.Array(Type.String({ pattern: '^\\d{11}$' }))),
    /** Absent: as fast as it sends. */
    pace: Type.Optional(PaceSchema),
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
    /** Over all links; beyond it each connection has an equal share, and those with more are not read from until they have less. */
    inFlightMax: count(1, 1_000_000),
    /** What a connection may always have, however many others there are. */
    inFlightShareMin: count(1, 1000),
    /** A peer that does not read its answers is paused above this many unsent bytes. */
    unsentBytesMax: count(1024, 100_000_000),
    /** A peer that takes nothing of its answers for so long is dropped. */
    stalledMs: count(10, 3_600_000),
  },
  closed,
)

/** How cases of a reason go (spec/disputes.md), in business days from the day on which one is opened. */
const DisputeReasonSchema = Type.Object(
  {
    decideBusinessDays: count(1, 366),
    /** When suspense lends the holder what is claimed, if it is cash and not decided before; 0: at once; absent: never. */
    creditBusinessDays: Type.Optional(count(0, 366)),
  },
  closed,
)

const DisputesSchema = Type.Object(
  {
    openWithinDays: count(1, 3660),
    /** How often it is looked whether money is to be lent; cases a reading. */
    everyMinutes: count(1, 59),
    chunk: count(1, 10_000),
    reasons: Type.Object(
      {
        'atm-did-not-dispense': DisputeReasonSchema,
        'charged-twice': DisputeReasonSchema,
        'goods-not-given': DisputeReasonSchema,
        'not-me': DisputeReasonSchema,
      },
      closed,
    ),
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

export const SettingsSchema = Type.Object(
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
        /** While even the quickest message takes longer than this, others are answered 91 at once. */
        delayMaxMs: count(100, 60_000),
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
        /** Connections that carry group commits; look-ups, first uses and work in the background have one each beside them. */
        connections: count(1, 32),
        statementMs: count(100, 600_000),
        /** A look-up for a message: after this it is answered 91, and the connection is made anew. */
        lookupMs: count(100, 600_000),
        /** After this a statement has stalled: what was not sent yet is answered 91, and so is what comes, until it moves again. */
        stallMs: count(100, 600_000),
        connectMs: count(100, 60_000),
        /** Statements that may wait for a connection. */
        waitingMax: count(1, 10_000),
        reconnectMs: count(10, 60_000),
        partitionsAheadMonths: count(1, 24),
      },
      closed,
    ),
    /** Redis, the HSM and the desk: after so many failures in a row nobody asks any more, until one call after `retryMs` has succeeded. */
    breakers: Type.Object({ failuresMax: count(1, 1000), retryMs: count(10, 60_000) }, closed),
    /** A call to the HSM that takes longer has failed. */
    hsmCallMs: count(10, 60_000),
    sweeper: Type.Object(
      { everyMs: count(10, 3_600_000), reservationAgeMs: count(10, 86_400_000), batchMax: count(1, 1000) },
      closed,
    ),
    /** What goes on while the ledger cannot be reached, and the journal that it is written down in (spec/standin.md). */
    standIn: Type.Object(
      {
        enabled: Type.Boolean(),
        /** On a volume that survives the machine's restart; absent, and no SARF_STANDIN_DIRECTORY: stand-in is off. */
        directory: Type.Optional(Type.String({ minLength: 1 })),
        /** Processes of a machine that may have a journal each. */
        slotsMax: count(1, 999),
        /** A file is closed when it has grown to this; with so many files waiting to be drained nothing more is written. */
        fileBytesMax: count(1024, 1_073_741_824),
        filesMax: count(1, 10_000),
        /** Records that are written and synchronised at once. */
        batchMax: count(1, 10_000),
        /** How long nothing is written after a file could not be made. */
        reopenMs: count(10, 600_000),
        /** How often it is looked whether there is something to drain; records that are posted at once. */
        drainEveryMs: count(10, 60_000),
        drainBatchMax: count(1, 10_000),
      },
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
        /** Commands that may wait for a connection. */
        waitingMax: count(1, 10_000),
        statementMs: count(100, 600_000),
        /** A command is answered when Redis knows the cards that it changed, or after so long. */
        tellMs: count(1, 60_000),
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
        /** How long closing a shift, or a look at business days, waits for commits that began before it. */
        patienceMs: count(100, 60_000),
        /** Business days: how often they are looked at, when they end in Cairo (HH:MM), how long a statement of theirs may take. */
        days: Type.Object(
          {
            everyMs: count(100, 3_600_000),
            cutOff: Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' }),
            statementMs: count(1000, 3_600_000),
            /** By a clock that is further ahead of the ledger's server no day is cut. */
            clockAheadMaxMs: count(0, Number.MAX_SAFE_INTEGER),
          },
          closed,
        ),
        /** Merchants are paid from the debtor's account; less than the minimum stays for the next run (spec/payouts.md). */
        payouts: Type.Object(
          {
            minimumPiasters: count(1, 100_000_000),
            debtor: Type.Object(
              {
                name: Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]{1,140}$' }),
                iban: Type.String({ pattern: '^[A-Z]{2}\\d{2}[A-Z0-9]{11,30}$' }),
                bic: Type.Optional(Type.String({ pattern: '^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$' })),
              },
              closed,
            ),
          },
          closed,
        ),
        bank: BankSchema,
      },
      closed,
    ),
    disputes: DisputesSchema,
    /** Exports of the books (spec/books.md). */
    books: Type.Object(
      {
        /** Answers that are read at once, each by a connection of its own; above it: 503. */
        readersMax: count(1, 32),
        statementMs: count(1000, 3_600_000),
        /** Who takes nothing for so long is disconnected. */
        stalledMs: count(100, 3_600_000),
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
    /** What a switch depends on is looked at so often, for measurements (spec/operations.md). */
    watch: Type.Object(
      {
        everyMs: count(100, 3_600_000),
        /** Directories on disks whose room is measured, by the name that measurements give them. */
        directories: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,30}$' }), Type.String({ minLength: 1 })),
      },
      closed,
    ),
    /** Processes that share the ports: `--workers`. Every limit in this file is one process's. */
    workers: Type.Object(
      {
        /** 1: this process alone, without a primary process. SARF_WORKERS and --workers win. */
        count: count(1, 64),
        /** One that died is started again after `restartMs`, then twice as long each time; from the beginning again once it has lived for `steadyMs`. */
        restartMs: count(1, 3_600_000),
        restartMaxMs: count(1, 3_600_000),
        steadyMs: count(0, 86_400_000),
        /** So many in a row that end before they take messages, while nobody else takes any, end it all. */
        startsMax: count(1, 1000),
        /** One that does not take messages by then is ended; redis.preloadMs, for which it may fill Redis, come on top. */
        startMs: count(1000, 3_600_000),
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
export type MessageLink = Pick<
  LinkConfig,
  'name' | 'keyTime' | 'accountTypes' | 'pin' | 'mac' | 'transportKey' | 'hotCards' | 'acquirers'
>
export type TransportLimits = Static<typeof TransportSchema>
export type Settings = Static<typeof SettingsSchema>
