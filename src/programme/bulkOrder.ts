/**
 * Cards ordered by a file of many rows. It is read as it comes and done in chunks, each a SQL transaction with its rows' outcomes and an audit record: a row
 * that is refused keeps no other back, and where the sending breaks off, the same file under the same key goes on behind the last chunk. That it is the
 * same is known by a keyed hash over the rows that are done, so that nothing of them has to be kept.
 */
import { createHash, createHmac } from 'node:crypto'
import { lockHolders } from '../ledger/programme/newCards.ts'
import {
  addBulkRows,
  beginBulkOrder,
  completeBulkOrder,
  findPersons,
  knownPlaces,
  lockBulkOrder,
  readBulkOrder,
  type BulkOrder,
  type BulkRow,
} from '../ledger/programme/cardOrders.ts'
import {
  done,
  refused,
  type Actor,
  type Desk,
  type Outcome,
  type Refusal,
  type SqlTransaction,
} from '../ledger/programme/desk.ts'
import { writePersonSecret } from '../ledger/programme/persons.ts'
import { mobileToken, nationalIdToken, type LookupToken, type Mobile, type NationalId } from '../personalData.ts'
import { parseMobile, parseNationalId, westernDigits } from './identity.ts'
import { orderCards, type OrderContext } from './orderCard.ts'
import { headerOf, linesOf, rowOf, type CsvHeader, type OrderFormat, type OrderLine, type OrderRow } from './orderFile.ts'
import { sealPerson } from './sealPerson.ts'

export interface BulkLimits {
  readonly rowsMax: number
  readonly rowBytesMax: number
  /** Rows a SQL transaction. */
  readonly chunkRows: number
}

export interface BulkRequest {
  readonly actor: Actor
  /** The caller's Idempotency-Key. */
  readonly key: string
  readonly format: OrderFormat
  readonly bytes: AsyncIterable<Uint8Array>
}

interface Bulk {
  readonly desk: Desk
  readonly context: OrderContext
  readonly limits: BulkLimits
  readonly actor: Actor
  readonly orderId: string
}

/** The order of a caller's key. */
export function bulkOrderId(actor: Actor, key: string): string {
  return createHash('sha256').update(`card order\n${actor.name}\n${key}`).digest('base64url').slice(0, ORDER_ID_CHARACTERS)
}

const ORDER_ID_CHARACTERS = 22

/**
 * Takes a file to its end. What is refused here is the file as a whole; rows are refused one by one.
 *
 * @throws like Desk.run, and what reading the bytes throws: the chunks before are done, sending the file again goes on
 */
export async function takeBulkOrder(
  desk: Desk,
  context: OrderContext,
  limits: BulkLimits,
  { actor, key, format, bytes }: BulkRequest,
): Promise<Outcome<BulkOrder>> {
  const bulk: Bulk = { desk, context, limits, actor, orderId: bulkOrderId(actor, key) }
  const lines = linesOf(bytes, limits.rowBytesMax)
  let header: CsvHeader | undefined
  if (format === 'csv') {
    const first = await lines.next()
    if (first.done === true) return EMPTY_FILE
    const named = headerOf(first.value)
    if (!named.ok) return named
    header = named.value
  }
  return takeLines(bulk, lines, header)
}

const EMPTY_FILE = refused('invalid', 'empty-file', 'The file has no rows.')

async function takeLines(
  bulk: Bulk,
  lines: AsyncIterable<OrderLine>,
  header: CsvHeader | undefined,
): Promise<Outcome<BulkOrder>> {
  const { desk, orderId, limits, context } = bulk
  const before = await desk.read((tx) => readBulkOrder(tx, orderId))
  const skipped = before?.rows ?? 0
  const hash = new RunningHash(context.lookupKey, header)
  if (before !== undefined && skipped === 0 && !before.rowHash.equals(hash.soFar())) return ANOTHER_FILE
  let hashBefore = hash.soFar()
  let row = 0
  let chunk: NumberedLine[] = []
  let tooMany = false
  for await (const line of lines) {
    tooMany = row === limits.rowsMax
    if (tooMany) break
    row++
    hash.add(line)
    if (row <= skipped) {
      if (row < skipped) continue
      hashBefore = hash.soFar()
      if (before?.rowHash.equals(hashBefore) !== true) return ANOTHER_FILE
      continue
    }
    if (before !== undefined && before.completedAt !== null) return ANOTHER_FILE
    chunk.push({ row, line })
    if (chunk.length < limits.chunkRows) continue
    const hashAfter = hash.soFar()
    const taken = await takeChunk(bulk, { lines: chunk, header, hashBefore, hashAfter })
    if (!taken.ok) return taken
    chunk = []
    hashBefore = hashAfter
  }
  if (row === 0) return EMPTY_FILE
  if (row < skipped) return ANOTHER_FILE
  if (before !== undefined && before.completedAt !== null) return tooMany ? ANOTHER_FILE : done(before)
  const hashAfter = hash.soFar()
  if (chunk.length > 0) {
    const taken = await takeChunk(bulk, { lines: chunk, header, hashBefore, hashAfter })
    if (!taken.ok) return taken
  }
  return tooMany ? tooManyRows(limits.rowsMax) : complete(bulk, hashAfter)
}

interface NumberedLine {
  readonly row: number
  readonly line: OrderLine
}

interface Chunk {
  readonly lines: readonly NumberedLine[]
  readonly header: CsvHeader | undefined
  /** Over the rows before it, and over these too. */
  readonly hashBefore: Buffer
  readonly hashAfter: Buffer
}

const ANOTHER_FILE = refused(
  'conflict',
  'idempotency-key-reused',
  'This Idempotency-Key came before with another file; send the same one again to go on, or take a new key.',
)

const UNDER_WAY = refused('conflict', 'order-under-way', 'Another request is sending this order: ask for its state.')

function tooManyRows(rowsMax: number): Outcome<never> {
  const detail = `An order has at most ${String(rowsMax)} rows. Those are done; send the others under another key.`
  return refused('invalid', 'too-many-rows', detail)
}

async function takeChunk(bulk: Bulk, { lines, header, hashBefore, hashAfter }: Chunk): Promise<Outcome<unknown>> {
  const { desk, context, actor, orderId } = bulk
  return desk.run({
    actor,
    action: 'card.order_rows',
    subject: `order ${orderId}`,
    detail: { from: lines[0]?.row, to: lines.at(-1)?.row },
    work: async (tx) => {
      await beginBulkOrder(tx, orderId, actor.name, hashBefore)
      const order = await lockBulkOrder(tx, orderId)
      if (order?.rowHash.equals(hashBefore) !== true) return UNDER_WAY
      const rows = await orderRows(tx, context, orderId, lines, header)
      await addBulkRows(tx, orderId, rows, hashAfter)
      return done({ accepted: rows.filter(({ cardId }) => cardId !== null).length, rows: rows.length })
    },
    audit: ({ accepted, rows }) => ({ detail: { accepted, refused: rows - accepted } }),
  })
}

async function complete({ desk, actor, orderId }: Bulk, rowHash: Buffer): Promise<Outcome<BulkOrder>> {
  return desk.run({
    actor,
    action: 'card.order_complete',
    subject: `order ${orderId}`,
    work: async (tx) => {
      // Nobody has gone on with more rows meanwhile.
      if ((await lockBulkOrder(tx, orderId))?.rowHash.equals(rowHash) !== true) return UNDER_WAY
      await completeBulkOrder(tx, orderId)
      const order = await readBulkOrder(tx, orderId)
      return order === undefined ? UNDER_WAY : done(order)
    },
  })
}

interface AskedRow {
  readonly row: number
  readonly nationalId: NationalId
  readonly token: LookupToken
  readonly placeId: string
  readonly mobile: Mobile | null
}

/** What becomes of each row of a chunk. */
async function orderRows(
  tx: SqlTransaction,
  context: OrderContext,
  orderId: string,
  lines: readonly NumberedLine[],
  header: CsvHeader | undefined,
): Promise<BulkRow[]> {
  const outcomes = new Map<number, BulkRow>()
  const refuse = (row: number, { name, detail, field }: Refusal): void => {
    outcomes.set(row, { row, cardId: null, reason: name, field: field ?? null, detail })
  }
  const asked: AskedRow[] = []
  for (const { row, line } of lines) {
    const parsed = rowOf(line, header)
    const checked = parsed.ok ? checkedRow(tx, context, row, parsed.value) : parsed
    if (checked.ok) asked.push(checked.value)
    else refuse(row, checked.refusal)
  }
  const places = await knownPlaces(tx, [...new Set(asked.map(({ placeId }) => placeId))])
  const tokens = asked.map(({ token }) => token)
  // Locked before it is read which mobiles they have.
  await lockHolders(
    tx,
    [...(await findPersons(tx, tokens)).values()].map(({ personId }) => personId),
  )
  const persons = await findPersons(tx, tokens)
  const orders: (AskedRow & { readonly personId: number; readonly registers: boolean })[] = []
  for (const one of asked) {
    const person = persons.get(one.token)
    const mobile = one.mobile === null ? null : mobileToken(one.mobile, context.lookupKey)
    if (!places.has(one.placeId)) refuse(one.row, NO_SUCH_PLACE)
    else if (person === undefined) refuse(one.row, NO_SUCH_PERSON)
    else if (mobile !== null && person.mobileToken !== null && mobile !== person.mobileToken) refuse(one.row, ANOTHER_MOBILE)
    else orders.push({ ...one, personId: person.personId, registers: mobile !== null && person.mobileToken === null })
  }
  const cards = await orderCards(
    tx,
    context,
    orders.map(({ personId, placeId }) => ({ personId, placeId, orderId, reason: 'new' })),
  )
  for (const [index, { row, personId, nationalId, mobile, registers }] of orders.entries()) {
    const card = cards[index]
    if (card?.ok !== true) refuse(row, card?.refusal ?? NO_SUCH_PERSON)
    else {
      outcomes.set(row, { row, cardId: card.value.token, reason: null, field: null, detail: null })
      if (registers)
        await writePersonSecret(tx, personId, sealPerson(context, { shard: tx.shard, personId }, { nationalId, mobile }))
    }
  }
  return lines.flatMap(({ row }) => outcomes.get(row) ?? [])
}

const NO_SUCH_PLACE: Refusal = { kind: 'invalid', name: 'no-such-place', field: 'place_id', detail: 'There is no such place.' }
const NO_SUCH_PERSON: Refusal = {
  kind: 'not-found',
  name: 'no-such-person',
  field: 'national_id',
  detail: 'Nobody in the programme has this national ID.',
}
const ANOTHER_MOBILE: Refusal = {
  kind: 'conflict',
  name: 'another-mobile',
  field: 'mobile',
  detail: 'The person has registered another mobile; change it at a post office.',
}

const PLACE_ID = /^[a-z0-9][a-z0-9-]{1,39}$/

function checkedRow(tx: SqlTransaction, context: OrderContext, row: number, asked: OrderRow): Outcome<AskedRow> {
  const nationalId = parseNationalId(asked.nationalId, tx.nowMs, 'national_id')
  if (!nationalId.ok) return nationalId
  const placeId = westernDigits(asked.placeId)
  if (!PLACE_ID.test(placeId)) return { ok: false, refusal: NO_SUCH_PLACE }
  const token = nationalIdToken(nationalId.value, context.lookupKey)
  if (westernDigits(asked.mobile) === '') return done({ row, nationalId: nationalId.value, token, placeId, mobile: null })
  const mobile = parseMobile(asked.mobile, 'mobile')
  return mobile.ok ? done({ row, nationalId: nationalId.value, token, placeId, mobile: mobile.value }) : mobile
}

/** Over the rows of a file in their order; what its first line says counts too. */
class RunningHash {
  readonly #lookupKey: Uint8Array
  readonly #rows = createHash('sha256')

  constructor(lookupKey: Uint8Array, header: CsvHeader | undefined) {
    this.#lookupKey = lookupKey
    this.#rows.update(header === undefined ? 'ndjson\n' : `csv ${header.delimiter} ${header.columns.join(' ')}\n`)
  }

  /** No line has a line feed in it. */
  add({ bytes, tooLong }: OrderLine): void {
    this.#rows
      .update(tooLong ? 'too long:' : 'row:')
      .update(bytes)
      .update('\n')
  }

  /** Keyed: nobody who reads the database can try out national IDs. */
  soFar(): Buffer {
    return createHmac('sha256', this.#lookupKey).update('card order:').update(this.#rows.copy().digest()).digest()
  }
}
