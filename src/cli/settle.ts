/** `sarf settle`: merchants of a running switch are paid over its API: runs, their files for the bank, what comes back, holds, statements. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { LANGUAGES } from '../settlement/merchantStatementPage.ts'
import { PAYOUT_FORMATS } from '../settlement/payoutFile.ts'
import { apiCommand, apiOf, lines, moreText, table, type Answer, type Api, type ApiOptions } from './apiClient.ts'
import { PROPOSAL } from './bank.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

const OFFICER = { role: 'settlement-officer' } as const
/** Who has prepared a run does not approve it. In production each has a token of their own. */
const CHECKER = { ...OFFICER, name: 'sarf-cli-checker' } as const

const RUN = [
  ['run', 'runId'],
  ['until', 'until'],
  ['state', 'state'],
  ['prepared by', 'preparedBy'],
  ['payouts', 'payouts'],
  ['amount (EGP)', 'amount'],
  ['left to the next run', 'leftOut'],
  ['message', 'messageId'],
  ['paid on', 'executionDay'],
] as const
const HOLD = [
  ['hold', 'holdId'],
  ['cause', 'cause'],
  ['reason', 'reason'],
  ['placed by', 'placedBy'],
  ['lifted by', 'liftedBy'],
] as const

interface PrepareOptions extends ApiOptions {
  readonly until?: string
}
interface FileOptions extends ApiOptions {
  readonly out: string
  readonly format: string
}
interface StatementOptions extends FileOptions {
  readonly day: string
  readonly lang: string
}
interface ReturnOptions extends ApiOptions {
  readonly reason: string
  readonly amount: string
  readonly valueDate: string
}
interface HoldOptions extends ApiOptions {
  readonly reason: string
  readonly hold: string
}

/** Exit codes: see `apiCommand`. */
export function settleCommand(): Command {
  const command = new Command('settle').description('Pays merchants, over the API of a running switch.')
  runCommands(command)
  fileCommands(command)

  apiCommand<ReturnOptions>(
    command,
    'return <endToEndId>',
    'Propose to post back a payout that has come back and that no statement brings; somebody else agrees.',
    async (id, options) => {
      const api = await apiOf(options, OFFICER)
      const { reason, amount, valueDate } = options
      const proposal = await api.post(`/v1/payouts/${named(id)}/return`, { reason, amount, valueDate })
      return { answer: proposal, text: lines(proposal, PROPOSAL) }
    },
  )
    .requiredOption('--reason <code>', 'why, a code of ISO 20022: AC04 the account is closed')
    .requiredOption('--amount <amount>', 'what came back, 525.00')
    .requiredOption('--value-date <date>', 'when the bank has booked it', date)

  apiCommand<HoldOptions>(command, 'hold <acceptorId>', 'Hold a merchant: nothing is paid to it.', async (id, options) => {
    const api = await apiOf(options, OFFICER)
    const hold = await api.post(`/v1/merchants/${named(id)}/holds`, { reason: options.reason })
    return { answer: hold, text: lines(hold, HOLD) }
  }).requiredOption('--reason <text>', 'why')

  apiCommand<HoldOptions>(command, 'lift <acceptorId>', 'Lift a hold on a merchant.', async (id, options) => {
    const api = await apiOf(options, OFFICER)
    const hold = await api.post(`/v1/merchants/${named(id)}/holds/${numbered(options.hold)}/lift`, { reason: options.reason })
    return { answer: hold, text: lines(hold, HOLD) }
  })
    .requiredOption('--hold <number>', 'the number of the hold')
    .requiredOption('--reason <text>', 'why')
  return command
}

function runCommands(command: Command): void {
  apiCommand<PrepareOptions>(
    command,
    'prepare',
    'Prepare a run that pays all merchants for the closed business days; somebody else approves it.',
    async (_, options) => {
      const api = await apiOf(options, OFFICER)
      const run = await api.post('/v1/payout-runs', options.until === undefined ? {} : { until: options.until })
      return { answer: run, text: lines(run, RUN) }
    },
  ).option('--until <date>', 'the last business day that is paid (default: the last one that is closed)', date)

  apiCommand(
    command,
    'show [runId]',
    'Show a run and whom it leaves out; without a number the latest ones.',
    async (id, options) => {
      const api = await apiOf(options, OFFICER)
      if (id === '') {
        const runs = await api.get('/v1/payout-runs')
        return { answer: runs, text: table(itemsOf(runs), RUN) + moreText(runs) }
      }
      const run = await api.get(`/v1/payout-runs/${numbered(id)}`)
      const left = await api.get(`/v1/payout-runs/${numbered(id)}/left`)
      return { answer: { run, left: left['items'] }, text: `${lines(run, RUN)}${leftText(left)}` }
    },
  )

  for (const [name, decision, description] of [
    ['approve', 'approve', 'Approve a run that somebody else has prepared: it is posted, and there is a file for the bank.'],
    ['refuse', 'refuse', 'Refuse a run: what it took up is free for the next one.'],
  ] as const)
    apiCommand(command, `${name} <runId>`, description, async (id, options) => {
      const api = await apiOf(options, CHECKER)
      await api.postLong(`/v1/proposals/${await proposalOf(api, numbered(id))}/decision`, { decision })
      const run = await api.get(`/v1/payout-runs/${numbered(id)}`)
      return { answer: run, text: lines(run, RUN) }
    })
}

function fileCommands(command: Command): void {
  apiCommand<FileOptions>(
    command,
    'file <runId>',
    'Write the file of an approved run for the bank; the same bytes each time, so that it can be sent again.',
    async (id, options) => {
      const api = await apiOf(options, OFFICER)
      return written(await api.save(`/v1/payout-runs/${numbered(id)}/file?format=${options.format}`, options.out), options)
    },
  )
    .addOption(new Option('--format <format>', 'of the file').choices(PAYOUT_FORMATS).default('pain.001'))
    .requiredOption('--out <file>', 'where to write it')

  apiCommand<StatementOptions>(
    command,
    'statement <acceptorId>',
    'Write the statement of a merchant for a closed business day.',
    async (id, options) => {
      const api = await apiOf(options, OFFICER)
      const { day, format, lang, out } = options
      const bytes = await api.save(`/v1/merchants/${named(id)}/statements/${day}?format=${format}&lang=${lang}`, out)
      return written(bytes, options)
    },
  )
    .requiredOption('--day <date>', 'the business day', date)
    .addOption(new Option('--format <format>', 'of the file').choices(['json', 'csv', 'html']).default('html'))
    .addOption(new Option('--lang <language>', 'of the page').choices(LANGUAGES).default('ar'))
    .requiredOption('--out <file>', 'where to write it')
}

function written(bytes: number, { out }: FileOptions): { answer: Answer; text: string } {
  return { answer: { file: out, bytes }, text: `${out}: ${String(bytes)} bytes\n` }
}

async function proposalOf(api: Api, runId: string): Promise<string> {
  const run = await api.get(`/v1/payout-runs/${runId}`)
  if (typeof run['proposalId'] !== 'string') throw new UsageError(`run ${runId} has nothing to decide on`)
  return run['proposalId']
}

function leftText(left: Answer): string {
  const items = itemsOf(left)
  if (items.length === 0) return ''
  const columns = [
    ['left out', 'acceptorId'],
    ['amount', 'amount'],
    ['reason', 'reason'],
  ] as const
  return `\n${table(items, columns)}${moreText(left)}`
}

function named(id: string): string {
  if (!/^[A-Za-z0-9._-]{1,35}$/.test(id)) throw new UsageError('a merchant is named by its DE 42, a payout by its EndToEndId')
  return id
}

function numbered(id: string): string {
  if (!/^[1-9]\d{0,14}$/.test(id)) throw new UsageError('a run or a hold is named by its number')
  return id
}

function date(value: string): string {
  if (!/^20\d\d-\d\d-\d\d$/.test(value)) throw new InvalidArgumentError('A date such as 2026-11-27.')
  return value
}
