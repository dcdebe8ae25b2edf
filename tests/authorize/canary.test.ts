/**
 * Card numbers, PIN blocks, tracks, verification values, national IDs and mobiles are put into everything that goes into a switch, right and
 * wrong; then all that it keeps and says is searched for them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname, join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { luhnCheckDigit } from '../../src/card.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { freePort } from '../../src/local/ports.ts'
import { createLogger, type LogFields } from '../../src/log.ts'
import { Mobile, NationalId } from '../../src/personalData.ts'
import { demoPinBlock } from '../../src/programme/demoVerification.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { authorize, call, newKey, sendBytes } from '../admin/callSwitch.ts'
import { cardValue, chipData, chipOf, EXPIRY, prepareIcvv } from '../support/cardholder.ts'
import { canaryLook, type Look } from '../support/canary.ts'
import {
  amount,
  answerName,
  at,
  compose,
  originalOf,
  startTestSwitch,
  until,
  type Fields,
  type TestSwitch,
} from '../support/switch.ts'

const NATIONAL_ID = '28005170398761'
const MOBILE = '01598765432'
/** Right ones of the card, as soon as there is one. */
let pinBlock: Buffer = Buffer.of()
let discretionary = ''
const CVV2 = '739'
const UNLIMITED = { failuresMax: 100_000, windowMs: 600_000 }
/** Every so many bytes something is wrong with a message: no multiple of what a field is long. */
const EACH = 7
const UNKNOWN_PAN = withCheckDigit('981802777666555')
/** 15 digits, as long as DE 42. */
const SHORT_PAN = withCheckDigit('98180277766644')

/** Private data as a terminal might send them: a tag that nobody knows with the verification value, another with the person. */
const PRIVATE_DATA = `C2003${CVV2}ID014${NATIONAL_ID}MO011${MOBILE}`

interface Surroundings {
  readonly running: TestSwitch
  readonly url: string
  readonly pan: string
  readonly look: Look
}

let place: Surroundings
let log = ''
let monitored = ''
/** What HTTP said, answers and errors alike. */
const said: string[] = []
const answers: Message[] = []
let redis: Redis

function withCheckDigit(payload: string): string {
  return payload + luhnCheckDigit(payload)
}

beforeAll(async () => {
  const port = await freePort()
  const keys = softwareKeyStore([{ name: 'data.1', usage: 'D0', algorithm: 'A', exportable: false, value: Buffer.alloc(32, 1) }])
  const running = await startTestSwitch({
    configure: (config) => ({
      ...config,
      http: { ...config.http, port },
      // All comes from one terminal here, right and wrong.
      security: { ...config.security, velocity: { card: UNLIMITED, terminal: UNLIMITED, bin: UNLIMITED } },
    }),
    log: createLogger('trace', {
      write: (line) => {
        log += line
      },
    }),
    vault: dataVault(keys, 'data.1'),
  })
  redis = new Redis(running.redis.url)
  const monitor = await redis.monitor()
  monitor.on('monitor', (_time: string, args: unknown[]) => {
    monitored += args.map(String).join(' ') + '\n'
  })
  const personalData = { nationalId: NationalId.parse(NATIONAL_ID)!, mobile: Mobile.parse(MOBILE) ?? null }
  const { head } = await running.openHousehold({ personalData, cash: 50_000 })
  discretionary = `8642${await cardValue(head.pan, { kind: 'icvv', key: 'cvk.9818', expiry: EXPIRY })}753`
  pinBlock = demoPinBlock(head.pan)
  const look = canaryLook({
    PAN: head.pan,
    'unknown PAN': UNKNOWN_PAN,
    'short PAN': SHORT_PAN,
    'national ID': NATIONAL_ID,
    // Whatever stands before it: 0 or the country.
    mobile: MOBILE.slice(1),
    'PIN block': pinBlock,
    'end of track 2': discretionary,
    CVV2: `C2003${CVV2}`,
    'CVV2 as JSON': `"cvv2":"${CVV2}"`,
  })
  place = { running, url: `http://127.0.0.1:${String(port)}`, pan: head.pan, look }
  await useLinks()
  await useLinksWrongly()
  await useHttp()
  await meetTrouble()
  // Redis tells of its commands in order: behind this one nothing is missing.
  await redis.echo('that was all')
  await until(() => monitored.includes('that was all'))
  monitor.disconnect()
})

afterAll(() => {
  redis.disconnect()
})

/** All that a card's terminal may send, of a card. */
function everything(pan: string, more: Fields = {}): Fields {
  return {
    2: pan,
    14: '2912',
    22: '051',
    35: `${pan}=29122011${discretionary}`,
    43: 'SHOP CAIRO EG'.padEnd(40),
    48: PRIVATE_DATA,
    52: pinBlock.toString('hex').toUpperCase(),
    ...more,
  }
}

async function useLinks(): Promise<void> {
  const { running, pan } = place
  await prepareIcvv(pan)
  const chip = chipOf(pan, { cvn: 18 })
  for (const name of ['atm', 'pos', 'gateway']) {
    const link = await running.connect(name)
    const purchase = await link.exchange('0200', everything(pan))
    expect(purchase.answer.text(39)).toBe('00')
    answers.push(
      purchase.answer,
      await link.send({ ...purchase.sent, mti: '0201' }),
      await link.ask('0200', everything(pan, { 55: chipData(chip, 1000) })),
      await link.ask('0200', everything(pan, { 52: 'D1C7A95B3E8F6204' })),
      await link.ask('0420', everything(pan, { 90: originalOf(purchase.sent) })),
      await link.ask('0100', everything(pan)),
      await link.ask('0200', everything(pan, { 4: amount(99_999_999) })),
      await link.ask('0200', everything(pan, { 14: '2001' })),
      await link.ask('0200', everything(pan, { 49: '840' })),
      await link.ask('0200', everything(UNKNOWN_PAN)),
      await link.ask('0200', everything(pan, { 41: 'NOWHERE1' })),
      await link.ask('0200', everything(pan, { 42: SHORT_PAN })),
      await link.ask('0200', everything(pan, { 43: `${pan} ${UNKNOWN_PAN}`.padEnd(40) })),
      await link.ask(
        '0200',
        everything(pan, { ...at('bakery'), 3: '009700', 4: amount(400), 48: `LV00220DY0011${PRIVATE_DATA}` }),
      ),
      await link.ask(
        '0200',
        everything(pan, { ...at('grocer'), 3: '009800', 48: `BK0${String(pan.length + 8)}${pan}*1*1000;${PRIVATE_DATA}` }),
      ),
      await link.ask('0100', everything(pan, { ...at('clinic'), 3: '319400', 4: undefined, 48: `BR001M${PRIVATE_DATA}` })),
    )
  }
  // Declines and approvals of many kinds, else this has not gone far into the switch.
  expect(new Set(answers.map((answer) => answer.text(39))).size).toBeGreaterThan(5)
}

/** Damaged here and there, cut short, too long: each ends in an answer or a closed connection. */
async function useLinksWrongly(): Promise<void> {
  const { running, pan, url } = place
  for (const [name, spec] of Object.entries({ atm: 'ascii', pos: 'bcd', gateway: 'hex' })) {
    const reference = await running.connect(name)
    const whole = reference.encode(compose(running.clock, '0200', everything(pan)))
    const wrongOnes = Array.from({ length: Math.floor(whole.length / EACH) }, (_, index) => {
      const damaged = Buffer.from(whole)
      damaged[index * EACH]! ^= 0x40
      return [damaged, whole.subarray(0, index * EACH)]
    })
    // By HTTP, which says when each is done: the name by which a link's answer is found may be what is damaged.
    const long = Buffer.concat([whole, Buffer.from(pan), pinBlock])
    const done = await Promise.all([...wrongOnes.flat(), long].map((bytes) => sendBytes(url, bytes, spec)))
    said.push(...done.filter(({ type }) => type.endsWith('json')).map(({ bytes }) => bytes.toString('latin1')))
    const link = await running.connect(name)
    const wrong = compose(running.clock, '0200', everything(pan))
    // The links read it no further than the bitmap, and end the connection.
    await link.sendBytes(link.encode(wrong).subarray(0, 9), answerName(wrong.mti, wrong.fields[11]))
    await closedAfter(running.portOf(name), Buffer.concat([Buffer.from('ffff', 'hex'), Buffer.from(pan), pinBlock]))
  }
}

async function closedAfter(port: number, bytes: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const socket = createConnection({ host: place.running.config.host, port })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    resolve(undefined)
  })
  socket.resume()
  socket.end(bytes)
  await promise
}

async function useHttp(): Promise<void> {
  const { url, pan } = place
  const purchase = { kind: 'purchase', card: { number: pan, expiry: '2912' }, terminalId: 'POS00001', amount: '10.00' }
  const more = { cvv2: CVV2, track2: `${pan}=29122011${discretionary}`, nationalId: NATIONAL_ID, mobile: MOBILE }
  const json = { 'content-type': 'application/json' }
  const key = newKey()
  const calls = [
    await authorize(url, purchase, key),
    await authorize(url, purchase, key),
    await authorize(url, { ...purchase, amount: '9999999.00' }),
    await authorize(url, { ...purchase, card: { number: UNKNOWN_PAN } }),
    await authorize(url, { ...purchase, ...more }),
    await authorize(url, { ...purchase, card: { number: pan, pinBlock: pinBlock.toString('hex') } }),
    await authorize(url, { ...purchase, card: { number: pan, pinBlock: pinBlock.toString('hex'), pinFormat: 4 } }),
    await authorize(url, { ...purchase, card: { number: pan, chipData: chipData(chipOf(pan, { cvn: 18, atc: 50 }), 1000) } }),
    await authorize(url, purchase, `20261122-${pan}`),
    await authorize(url, { ...purchase, [pan]: 1, [NATIONAL_ID]: 1 }),
    await authorize(url, { ...purchase, amount: pan }),
    await authorize(url, { ...purchase, kind: pan }),
    await authorize(url, { ...purchase, terminalId: pan }),
    await authorize(url, { ...purchase, card: { number: `${pan}x`, expiry: NATIONAL_ID } }),
    await authorize(url, { ...purchase, card: pan }),
    await authorize(url, `{"card":"${pan}","mobile":"${MOBILE}",`),
    await authorize(url, purchase, pan),
    await authorize(url, purchase, `20261301-${pan}`),
    await call(`${url}/v1/cards/${pan}?id=${NATIONAL_ID}`),
    await call(`${url}/${pan}/%`),
    await call(`${url}/iso8583?spec=${pan}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: pan,
    }),
    await call(`${url}/v1/authorizations`, { method: 'POST', headers: { 'content-type': `text/${pan}` }, body: pan }),
    await call(`${url}/v1/authorizations`, { method: 'PUT', headers: json, body: JSON.stringify(more) }),
    await call(`${url}/v1/authorizations`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ ...more, fill: pan.repeat(2000) }),
    }),
  ]
  said.push(...calls.map(({ text }) => text))
  expect(calls[0]?.status).toBe(200)
  expect(new Set(calls.map(({ status }) => status)).size).toBeGreaterThan(4)
  await closedAfter(Number(new URL(url).port), Buffer.from(`GET /${pan} HTTP/9\r\n${MOBILE}\r\n\r\n`))
}

/** What is written when servers fail, with the messages under way. */
async function meetTrouble(): Promise<void> {
  const { running, pan, url } = place
  const link = await running.connect('atm')
  await running.sql('ALTER FUNCTION commit_batch RENAME TO out_of_order')
  answers.push(await link.ask('0200', everything(pan)))
  const purchase = { kind: 'purchase', card: { number: pan }, terminalId: 'POS00001', amount: '1.00' }
  said.push((await authorize(url, purchase)).text)
  await running.sql('ALTER FUNCTION out_of_order RENAME TO commit_batch')
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  answers.push(await link.ask('0200', everything(pan)))
  await running.sql(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  await until(async () => (await link.ask('0200', everything(pan, { 4: amount(100) }))).text(39) === '00')
  said.push((await call(`${url}/metrics`)).text, (await call(`${url}/readyz`)).text)
  await until(async () => (await call(`${url}/readyz`)).status === 200)
}

/** Each table's rows as text; bytea comes as hexadecimal. */
async function tableTexts(running: TestSwitch): Promise<Map<string, string>> {
  const tables = await running.sql<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  )
  const texts = new Map<string, string>()
  for (const { name } of [...tables, { name: 'pg_stat_activity' }, { name: 'pg_prepared_statements' }]) {
    const [row] = await running.sql<{ text: string | null }>(`SELECT string_agg(t::text, E'\\n') AS text FROM ${name} t`)
    texts.set(name, row?.text ?? '')
  }
  return texts
}

/** Key and value of everything in Redis. */
async function redisValues(): Promise<Buffer[]> {
  const found: Buffer[] = []
  for (const key of await redis.keysBuffer('*')) {
    const type = await redis.type(key)
    if (type === 'string') found.push(key, (await redis.getBuffer(key)) ?? Buffer.of())
    else if (type === 'hash')
      found.push(key, ...Object.entries(await redis.hgetallBuffer(key)).flatMap(([field, value]) => [Buffer.from(field), value]))
    else if (type === 'set') found.push(key, ...(await redis.smembersBuffer(key)))
    else if (type === 'zset') found.push(key, ...(await redis.zrangeBuffer(key, '0', '-1')))
    else if (type === 'list') found.push(key, ...(await redis.lrangeBuffer(key, 0, -1)))
    else throw new Error(`this test does not read values of type ${type}`)
  }
  return found
}

describe('no canary is found', () => {
  it('in any table, nor in what Postgres tells of its sessions', async () => {
    const texts = await tableTexts(place.running)
    // That it reads the tables that matter, with what was sent in them.
    expect(texts.get('public."authorization"')).toContain('POS00001')
    expect(texts.get('public.card_secret')).toContain('data.1')
    expect(texts.get('public.person_secret')).toContain('data.1')
    for (const [table, text] of texts) expect([table, place.look(text)]).toEqual([table, []])
  })

  it("in Postgres's log", async () => {
    const [row] = await place.running.sql<{ folder: string }>(`SELECT current_setting('data_directory') AS folder`)
    const file = [row!.folder, dirname(row!.folder)]
      .map((folder) => join(folder, 'postgres.log'))
      .find((path) => existsSync(path))
    const text = readFileSync(file!, 'latin1')
    expect(text).toContain('commit_batch')
    expect(place.look(text)).toEqual([])
  })

  it('in any key or value of Redis, in its log, nor in any command that it was sent', async () => {
    const values = await redisValues()
    expect(values.length).toBeGreaterThan(10)
    for (const value of values) expect(place.look(value)).toEqual([])
    expect(monitored).toContain('evalsha')
    expect(place.look(monitored)).toEqual([])
    expect(place.look(readFileSync(join(place.running.redis.directory, 'redis.log')))).toEqual([])
  })

  it('in the log at its finest level', () => {
    expect(log).toContain('message rejected')
    expect(log).toContain('refused by the ledger')
    expect(place.look(log)).toEqual([])
  })

  it('in metrics, health and what HTTP answers', () => {
    expect(said.join('\n')).toContain('sarf_under_way')
    for (const text of said) expect([text.slice(0, 200), place.look(text)]).toEqual([text.slice(0, 200), []])
  })

  // ISO 8583-1:1987 table 6: the number of the card, and what a terminal gives as its merchant's.
  it('in an answer, but in DE 2 and 42, which the standard has sent back', () => {
    for (const answer of answers) {
      for (const de of answer.fields().filter((number) => number !== 2 && number !== 42))
        expect([de, answer.text(39), place.look(answer.text(de) ?? '')]).toEqual([de, answer.text(39), []])
    }
  })
})

describe('a canary is found where one is planted:', () => {
  it('in a line of the log', () => {
    let written = ''
    const leaky = createLogger('trace', {
      write: (line) => {
        written += line
      },
    })
    // As a text that the net under the allow list does not see through.
    leaky.warn({ reason: Buffer.from(place.pan).toString('hex') } satisfies LogFields, pinBlock.toString('base64'))
    expect(place.look(written)).toEqual(['PAN', 'PIN block'])
  })

  it('in a table, as text and as bytes', async () => {
    const { running, pan, look } = place
    await running.sql('CREATE TABLE leak (id integer, note text, raw bytea)')
    await running.sql('INSERT INTO leak VALUES (1, $1, $2), (2, NULL, $3)', [
      `x${NATIONAL_ID}`,
      pinBlock,
      Buffer.from(pan, 'hex'),
    ])
    expect(look((await tableTexts(running)).get('public.leak')!)).toEqual(['PAN', 'national ID', 'PIN block'])
    await running.sql('DROP TABLE leak')
  })

  it('in a value of Redis', async () => {
    await redis.set('leak', Buffer.concat([Buffer.of(1, 2, 3), Buffer.from(place.pan, 'hex')]))
    await redis.hset('leaks', 'track', `=29122011${discretionary}`)
    const found = (await redisValues()).flatMap((value) => place.look(value))
    expect(found.toSorted()).toEqual(['PAN', 'end of track 2'])
    await redis.del('leak', 'leaks')
  })
})
