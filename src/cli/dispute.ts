/** `sarf dispute`: cases of holders against a posting, over the API of a running switch. */
import { Command, Option } from 'commander'
import { DISPUTE_REASONS, DISPUTE_STATES } from '../ledger/settlement/disputes.ts'
import { DISPUTE_OUTCOMES } from '../settlement/disputes.ts'
import { apiCommand, apiOf, lines, moreText, table, type Answer, type ApiOptions } from './apiClient.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: see `apiCommand`. */
export function disputeCommand(): Command {
  const command = new Command('dispute').description('What holders dispute: open a case, look at its evidence, decide it.')
  apiCommand<OpenOptions>(command, 'open <cardId>', 'Open a case about a posting of a card.', async (cardId, options) => {
    const api = await apiOf(options, { role: 'post-clerk' })
    const { purse, posting, reason, amount, note } = options
    const asked = { cardId, purse, version: numberOf(posting), reason }
    const more = { ...(amount === undefined ? {} : { amount }), ...(note === undefined ? {} : { note }) }
    return shown(await api.post('/v1/disputes', { ...asked, ...more }))
  })
    .requiredOption('--posting <version>', 'the posting, as the statement of the purse has it')
    .addOption(new Option('--reason <reason>', 'what is wrong').choices(DISPUTE_REASONS).makeOptionMandatory())
    .option('--purse <name>', 'the purse that it moved', 'cash')
    .option('--amount <pounds>', 'what is claimed (default: all that was not given back)')
    .option('--note <words>', 'what the holder says')

  apiCommand(command, 'show <disputeId>', 'Show a case with the trace of its messages.', async (disputeId, options) => {
    const api = await apiOf(options, { role: 'settlement-officer' })
    const answer = await api.get(`/v1/disputes/${String(numberOf(disputeId))}`)
    const trace = Array.isArray(answer['trace']) ? (answer['trace'] as Answer[]) : []
    return { answer, text: `${lines(answer, CASE)}\n${table(trace, TRACE)}` }
  })

  apiCommand<ListOptions>(command, 'list', 'List cases, those first that have to be decided first.', async (_, options) => {
    const api = await apiOf(options, { role: 'settlement-officer' })
    const query = new URLSearchParams({ state: options.state, ...(options.dueBy === undefined ? {} : { dueBy: options.dueBy }) })
    const answer = await api.get(`/v1/disputes?${query.toString()}`)
    return { answer, text: table(itemsOf(answer), COLUMNS) + moreText(answer) }
  })
    .addOption(new Option('--state <state>', 'open, or how it has ended').choices(DISPUTE_STATES).default('open'))
    .option('--due-by <day>', 'those to be decided by that day')

  apiCommand<DecideOptions>(
    command,
    'decide <disputeId>',
    'Propose how a case ends; another officer approves the proposal.',
    async (disputeId, options) => {
      const api = await apiOf(options, { role: 'settlement-officer' })
      const { outcome, amount, reason } = options
      const body = { outcome, reason, ...(amount === undefined ? {} : { amount }) }
      const answer = await api.post(`/v1/disputes/${String(numberOf(disputeId))}/decision`, body)
      return { answer, text: lines(answer, PROPOSAL) }
    },
  )
    .addOption(new Option('--outcome <outcome>', 'how it ends').choices(DISPUTE_OUTCOMES).makeOptionMandatory())
    .option('--amount <pounds>', 'what is granted (default: all that is claimed)')
    .requiredOption('--reason <words>', 'why')
  return command
}

interface OpenOptions extends ApiOptions {
  readonly purse: string
  readonly posting: string
  readonly reason: string
  readonly amount?: string
  readonly note?: string
}
interface ListOptions extends ApiOptions {
  readonly state: string
  readonly dueBy?: string
}
interface DecideOptions extends ApiOptions {
  readonly outcome: string
  readonly amount?: string
  readonly reason: string
}

const CASE = [
  ['dispute', 'disputeId'],
  ['card', 'cardId'],
  ['reason', 'reason'],
  ['claimed', 'claimed'],
  ['state', 'state'],
  ['opened', 'openedAt'],
  ['by', 'openedBy'],
  ['holder says', 'note'],
  ['lent on', 'creditOn'],
  ['lent', 'provisional'],
  ['decide by', 'decideBy'],
  ['decided', 'decidedAt'],
  ['granted', 'granted'],
  ['taken back', 'takenBack'],
  ['left to suspense', 'uncovered'],
] as const
const TRACE = [
  ['', 'role'],
  ['at', 'at'],
  ['kind', 'kind'],
  ['asked', 'requested'],
  ['approved', 'approved'],
  ['code', 'responseCode'],
  ['terminal', 'terminalId'],
  ['merchant', 'merchantName'],
  ['rrn', 'rrn'],
] as const
const COLUMNS = [
  ['dispute', 'disputeId'],
  ['decide by', 'decideBy'],
  ['reason', 'reason'],
  ['claimed', 'claimed'],
  ['lent', 'provisional'],
  ['state', 'state'],
  ['card', 'cardId'],
] as const
const PROPOSAL = [
  ['proposal', 'proposalId'],
  ['about', 'subject'],
  ['state', 'state'],
] as const

function shown(dispute: Answer): { answer: Answer; text: string } {
  return { answer: dispute, text: lines(dispute, CASE) }
}

function numberOf(value: string): number {
  if (!/^[1-9]\d{0,14}$/.test(value)) throw new UsageError('a dispute, and a posting of a purse, is named by a number')
  return Number(value)
}
