/** `sarf card`: cards of a running switch over its API, as a counter, a hotline and a printer would. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { demoKeys } from '../programme/demoVerification.ts'
import { REPORTS, type Report } from '../transaction/hotCardFile.ts'
import { enterPin } from '../security/virtualPinPad.ts'
import { apiCommand, apiOf, lines, table, type Answer, type ApiOptions } from './apiClient.ts'
import { offlineConfig } from './offlineConfig.ts'
import { questions } from './secretInput.ts'
import { digits, reference } from './sendOptions.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: see `apiCommand`. */
export function cardCommand(): Command {
  const command = new Command('card').description(
    'Cards, over the API of a running switch: look, order, print, hand over, block, replace. A card is named by its cardId, never by its number.',
  )
  apiCommand(
    command,
    'show <cardId>',
    'Show a card: its state, where and until when it is collected.',
    async (cardId, options) => {
      const api = await apiOf(options, { role: 'hotline-agent' })
      return shown(await api.get(`/v1/cards/${cardIdOf(cardId)}`))
    },
  )

  apiCommand<FindOptions>(
    command,
    'find',
    "Find somebody's cards by the national ID, asked for unless it is given.",
    async (_, options) => {
      const api = await apiOf(options, { role: 'hotline-agent' })
      const person = await api.post('/v1/persons/find', { nationalId: options.nationalId ?? (await askNationalId()) })
      const cards = await api.get(`/v1/persons/${String(person['personId'])}/cards`)
      return { answer: { person, cards: cards['items'] }, text: lines(person, PERSON) + table(itemsOf(cards), CARD_COLUMNS) }
    },
  ).option('--national-id <digits>', 'for trying out: what is on a command line others can see', nationalId)

  writing<OrderOptions>(command, 'order <personId>', 'Order a first card for a person.', async (personId, options) => {
    const api = await apiOf(options, { role: 'administrator' })
    return shown(await api.post(`/v1/persons/${idOf(personId)}/cards`, { placeId: options.place }))
  }).requiredOption('--place <placeId>', 'where it is to be collected')

  writing(
    command,
    'print <cardId>',
    'Play the printer: fetch what is embossed on an ordered card, and report it as printed.',
    async (cardId, options) => {
      const api = await apiOf(options, { role: 'card-bureau' })
      const embossing = await api.get(`/v1/cards/${cardIdOf(cardId)}/embossing`)
      const card = await api.post(`/v1/cards/${cardIdOf(cardId)}/printed`, {})
      return { answer: { embossing, card }, text: lines(embossing, [['number', 'number']]) + lines(card, CARD) }
    },
  )

  writing<HandoverOptions>(
    command,
    'handover <cardId>',
    'Hand a card over to its holder, who chooses a PIN. What others may not see is asked for unless it is given.',
    async (cardId, options) => {
      const api = await apiOf(options, { role: 'post-clerk', place: options.place })
      return shown(await api.post(`/v1/cards/${cardIdOf(cardId)}/handover`, await handoverOf(options)))
    },
  )
    .requiredOption('--place <placeId>', 'where the clerk and the holder are')
    .requiredOption('--number <pan>', 'the card number, as the PIN pad reads it off the card', digits('a card number', 12, 19))
    .requiredOption('--mobile <number>', "the holder's, registered to the same national ID: 01012345678")
    .option('--national-id <digits>', 'as the national ID card has it', nationalId)
    .option('--pin <digits>', 'the PIN that the holder chooses', digits('a PIN', 4, 12))
    .option('--fingerprint-reference <name>', 'of the enrolment in the fingerprint system', 'enr-cli-1')

  writing<BlockOptions>(
    command,
    'block <cardId>',
    'Report a card: from the next message on it is declined.',
    async (cardId, options) => {
      const api = await apiOf(options, { role: 'hotline-agent' })
      const body = { what: options.what, ...(options.reference === undefined ? {} : { reference: options.reference }) }
      return shown(await api.post(`/v1/cards/${cardIdOf(cardId)}/reports`, body))
    },
  )
    .addOption(new Option('--what <report>', 'what happened').choices(REPORTS).makeOptionMandatory())
    .option('--reference <number>', 'number of the call or police report', reference)

  writing<ReplaceOptions>(
    command,
    'replace <cardId>',
    'Order a card in the place of one that was reported.',
    async (cardId, options) => {
      const api = await apiOf(options, { role: 'post-clerk', place: options.at })
      return shown(
        await api.post(`/v1/cards/${cardIdOf(cardId)}/replacement`, { placeId: options.place, payment: options.payment }),
      )
    },
  )
    .requiredOption('--place <placeId>', 'where it is to be collected')
    .addOption(
      new Option('--payment <how>', 'how the fee is paid: at the counter, or from the cash purse')
        .choices(['counter', 'cash'])
        .default('counter'),
    )
    .option('--at <placeId>', 'where the clerk works, who takes the fee')
  return command
}

interface FindOptions extends ApiOptions {
  readonly nationalId?: string
}
interface OrderOptions extends ApiOptions {
  readonly place: string
}
interface HandoverOptions extends OrderOptions {
  readonly number: string
  readonly mobile: string
  readonly nationalId?: string
  readonly pin?: string
  readonly fingerprintReference: string
}
interface BlockOptions extends ApiOptions {
  readonly what: Report
  readonly reference?: string
}
interface ReplaceOptions extends OrderOptions {
  readonly payment: 'counter' | 'cash'
  readonly at?: string
}

function writing<Options extends ApiOptions>(...given: Parameters<typeof apiCommand<Options>>): Command {
  return apiCommand<Options>(...given).option(
    '--key <key>',
    'Idempotency-Key (default: a new one): the same again repeats it',
    idempotencyKey,
  )
}

const CARD = [
  ['card', 'cardId'],
  ['number', 'number'],
  ['state', 'state'],
  ['role', 'role'],
  ['expires', 'expires'],
  ['household', 'householdId'],
  ['person', 'personId'],
  ['collected at', 'placeId'],
  ['there until', 'namedPlaceUntil'],
  ['Diwan until', 'diwanUntil'],
  ['handed over', 'handedOverAt'],
  ['replaces', 'replaces'],
  ['because', 'reason'],
  ['printed by', 'dueDay'],
  ['ended', 'endedAt'],
  ['can be', 'possibleEvents'],
] as const

export const CARD_COLUMNS = [
  ['card', 'cardId'],
  ['number', 'number'],
  ['state', 'state'],
  ['role', 'role'],
  ['expires', 'expires'],
  ['collected at', 'placeId'],
  ['until', 'namedPlaceUntil'],
] as const

const PERSON = [
  ['person', 'personId'],
  ['household', 'householdId'],
  ['national ID', 'nationalId'],
  ['mobile', 'mobile'],
] as const

function shown(card: Answer): { answer: Answer; text: string } {
  return { answer: card, text: lines(card, CARD) }
}

export function itemsOf(page: Answer): readonly Answer[] {
  return Array.isArray(page['items']) ? (page['items'] as Answer[]) : []
}

async function handoverOf(options: HandoverOptions): Promise<object> {
  const asked =
    options.nationalId === undefined || options.pin === undefined ? questions(process.stdin, process.stderr) : undefined
  try {
    const id = options.nationalId ?? nationalId((await asked?.answer('National ID: ')) ?? '')
    const pin = options.pin ?? (await asked?.secret('PIN: '))?.toString('latin1') ?? ''
    return {
      nationalId: id,
      mobile: options.mobile,
      placeId: options.place,
      ...pinOf(options.number, digits('a PIN', 4, 12)(pin)),
      fingerprintReference: options.fingerprintReference,
    }
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw new UsageError(error.message)
    throw error
  } finally {
    asked?.close()
  }
}

/** What the PIN pad at the counter makes of it: with the development keys, as the switch has them. */
function pinOf(pan: string, pin: string): { pinBlock: string; pinFormat: number } {
  const { http } = offlineConfig()
  const { format = 0, tdesKey, aesKey } = http.pin ?? {}
  const name = format === 4 ? aesKey : tdesKey
  if (name === undefined) throw new UsageError('the configuration has no PIN key for the API (http.pin)')
  const block = enterPin(demoKeys().find(name, 'P0'), format, pan, pin)
  return { pinBlock: block.toString('hex').toUpperCase(), pinFormat: format }
}

async function askNationalId(): Promise<string> {
  const asked = questions(process.stdin, process.stderr)
  try {
    return nationalId(await asked.answer('National ID: '))
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw new UsageError(error.message)
    throw error
  } finally {
    asked.close()
  }
}

function nationalId(value: string): string {
  if (!/^\d{14}$/.test(value)) throw new InvalidArgumentError('A national ID has 14 digits.')
  return value
}

/** A card number in the place of it would go into a URL. */
function cardIdOf(value: string): string {
  if (!/^[A-Za-z0-9_-]{22}$/.test(value))
    throw new UsageError('a card is named by its cardId, 22 characters; never by its number')
  return value
}

function idOf(value: string): string {
  if (!/^\d{1,15}$/.test(value)) throw new UsageError('a person is named by a number, the personId')
  return value
}

function idempotencyKey(value: string): string {
  if (!/^[A-Za-z0-9._:-]{1,64}$/.test(value)) throw new InvalidArgumentError('1 to 64 of A-Z a-z 0-9 . _ : -.')
  return value
}
