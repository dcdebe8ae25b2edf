/** `sarf suspense`: items of suspense of a running switch over its API: list, say whose they are, propose how they end. */
import { Command, Option } from 'commander'
import { apiCommand, apiOf, lines, moreText, table, type ApiOptions } from './apiClient.ts'
import { numberOf, PROPOSAL } from './bank.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

const OFFICER = { role: 'settlement-officer' } as const
const COLUMNS = [
  ['item', 'itemId'],
  ['began as', 'kind'],
  ['days', 'ageDays'],
  ['outlet', 'acceptorId'],
  ['open', 'open'],
  ['owner', 'owner'],
] as const

interface ListOptions extends ApiOptions {
  readonly olderThanDays?: string
  readonly all?: true
}
interface AssignOptions extends ApiOptions {
  readonly to?: string
}
interface ResolveOptions extends ApiOptions {
  readonly way: string
  readonly amount?: string
  readonly outlet?: string
  readonly account?: string
  readonly payer?: string
  readonly from?: string
  readonly until?: string
  readonly opposite?: string
  readonly note: string
}

/** Exit codes: see `apiCommand`. */
export function suspenseCommand(): Command {
  const command = new Command('suspense').description('Items of suspense, over the API of a running switch.')
  apiCommand<ListOptions>(
    command,
    'list',
    'Show what is open, the oldest first: more than 0 is owed to the programme, less the programme owes.',
    async (_, options) => {
      const api = await apiOf(options, OFFICER)
      const days = options.olderThanDays === undefined ? '' : `&olderThanDays=${encodeURIComponent(options.olderThanDays)}`
      const items = await api.get(`/v1/suspense?limit=200${options.all === true ? '' : '&state=open'}${days}`)
      return { answer: items, text: table(itemsOf(items), COLUMNS) + moreText(items) }
    },
  )
    .option('--older-than-days <days>', 'only those that were opened so long ago')
    .option('--all', 'those that have ended too')

  apiCommand<AssignOptions>(
    command,
    'assign <itemId>',
    'Say who is to see to an item; without --to nobody.',
    async (itemId, options) => {
      const api = await apiOf(options, OFFICER)
      const item = await api.put(`/v1/suspense/${idOf(itemId)}/owner`, { owner: options.to ?? null })
      return { answer: item, text: table([item], COLUMNS) }
    },
  ).option('--to <name>', 'the officer')

  apiCommand<ResolveOptions>(
    command,
    'resolve <itemId>',
    'Propose how an item ends; somebody else approves.',
    async (itemId, options) => {
      const api = await apiOf(options, OFFICER)
      const { way, amount, outlet, account, payer, from, until, opposite, note } = options
      const named = { acceptorId: outlet, account: numberOf(account) }
      const given = { way, amount, ...named, payer: numberOf(payer), from, until, oppositeItemId: numberOf(opposite), note }
      const body = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
      const proposal = await api.post(`/v1/suspense/${idOf(itemId)}/resolution`, body)
      return { answer: proposal, text: lines(proposal, PROPOSAL) }
    },
  )
    .addOption(
      new Option('--way <way>', 'how').choices(['recover', 'claim', 'receipt', 'write-off', 'match']).makeOptionMandatory(),
    )
    .requiredOption('--note <why>', 'why')
    .option('--amount <pounds>', 'a part of it')
    .option('--outlet <acceptorId>', 'to recover from, or give to, where none has a part in the item')
    .option('--account <account>', 'of that outlet: 2200, 2210 or 2220')
    .option('--payer <account>', 'of a claim or a receipt: 1200, 1210 or 1220')
    .option('--from <day>', 'of a receipt: the first business day')
    .option('--until <day>', 'of a receipt: the last business day')
    .option('--opposite <itemId>', 'of a match: the item on the other side')
  return command
}

function idOf(itemId: string): string {
  if (!/^\d{1,12}$/.test(itemId)) throw new UsageError('an item is named by a number, the itemId')
  return itemId
}
