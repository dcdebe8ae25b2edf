/** `sarf bank`: statements of the bank for a running switch, over its API: import, and the work list of what nobody expected. */
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { apiCommand, apiOf, lines, moreText, table, type Answer, type ApiOptions } from './apiClient.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

const OFFICER = { role: 'settlement-officer' } as const

const STATEMENT_COLUMNS = [
  ['account', 'account'],
  ['statement', 'statementId'],
  ['number', 'number'],
  ['opening', 'opening'],
  ['closing', 'closing'],
  ['entries', 'entries'],
  ['matched', 'matched'],
  ['open', 'open'],
  ['was there', 'known'],
] as const

const ENTRY_COLUMNS = [
  ['entry', 'entryId'],
  ['booked', 'bookedOn'],
  ['amount', 'amount'],
  ['reference', 'reference'],
  ['text', 'text'],
  ['because', 'openReason'],
  ['days', 'ageDays'],
  ['is', 'matchKind'],
  ['of', 'matchedWith'],
] as const

export const PROPOSAL = [
  ['proposal', 'proposalId'],
  ['about', 'subject'],
  ['state', 'state'],
  ['made by', 'maker'],
] as const

interface ImportOptions extends ApiOptions {
  readonly because?: string
}
interface ListOptions extends ApiOptions {
  readonly all?: true
}
interface MatchOptions extends ApiOptions {
  readonly to: string
  readonly payer?: string
  readonly from?: string
  readonly until?: string
  readonly reference?: readonly string[]
  readonly day?: readonly string[]
  readonly part?: true
  readonly difference?: true
  readonly item?: string
  readonly note: string
}

/** Exit codes: see `apiCommand`. */
export function bankCommand(): Command {
  const command = new Command('bank').description("The bank's statements, over the API of a running switch.")
  apiCommand<ImportOptions>(
    command,
    'import <file>',
    'Import statements: camt.053 (a name that ends in .xml) or CSV (.csv). The same file may be imported again.',
    async (file, options) => {
      const api = await apiOf(options, OFFICER)
      const query = options.because === undefined ? '' : `?because=${encodeURIComponent(options.because)}`
      const answer = await api.upload(`/v1/bank-statements${query}`, bytesOf(file), contentTypeOf(file))
      return { answer, text: table((answer['statements'] ?? []) as Answer[], STATEMENT_COLUMNS) }
    },
  )
    .option('--because <why>', 'take it although a statement before it is missing')
    .option('--key <key>', 'Idempotency-Key (default: a new one): the same again repeats it')

  apiCommand<ListOptions>(
    command,
    'entries',
    'Show the work list, the oldest first; with --all every entry.',
    async (_, options) => {
      const api = await apiOf(options, OFFICER)
      const entries = await api.get(`/v1/bank-entries?limit=200${options.all === true ? '' : '&state=open'}`)
      const shown = itemsOf(entries).map((entry) => ({ ...entry, reference: (entry['references'] as string[] | undefined)?.[0] }))
      return { answer: entries, text: table(shown, ENTRY_COLUMNS) + moreText(entries) }
    },
  ).option('--all', 'those that are matched too')

  apiCommand<MatchOptions>(
    command,
    'match <entryId>',
    'Propose what an open entry is; somebody else approves.',
    async (entryId, options) => {
      if (!/^\d{1,12}$/.test(entryId)) throw new UsageError('an entry is named by a number, the entryId')
      const { to, payer, from, until, item, part, difference, note } = options
      const [reference, ...references] = options.reference ?? []
      const [day, ...days] = options.day ?? []
      const given = {
        ...{ to, payer: numberOf(payer), from, until, part, difference, itemId: numberOf(item), note },
        ...(references.length > 0 ? { references: options.reference } : { reference }),
        ...(days.length > 0 ? { days: options.day } : { day }),
      }
      const body = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
      const api = await apiOf(options, OFFICER)
      const proposal = await api.post(`/v1/bank-entries/${entryId}/match`, body)
      return { answer: proposal, text: lines(proposal, PROPOSAL) }
    },
  )
    .addOption(
      new Option('--to <what>', 'what it is')
        .choices(['claims', 'payout', 'deposits', 'atm-load', 'suspense'])
        .makeOptionMandatory(),
    )
    .requiredOption('--note <why>', 'why')
    .option('--payer <account>', 'of claims: 1200, 1210 or 1220')
    .option('--from <day>', 'of claims: the first business day')
    .option('--until <day>', 'of claims: the last business day')
    .option('--reference <reference...>', 'of a payout or a loading; of loadings several')
    .option('--day <day...>', 'of deposits: the business day, or several')
    .option('--part', 'it is a part of one loading, or of one day; the rest is still expected')
    .option('--difference', 'what it differs by is an item of suspense')
    .option('--item <itemId>', 'of suspense: the item on the other side that it settles')
  return command
}

/** @throws UsageError where it is no number */
export function numberOf(text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d{1,12}$/.test(text)) throw new UsageError('an account or an item is a number')
  return text === undefined ? undefined : Number(text)
}

function bytesOf(file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(file))
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function contentTypeOf(file: string): string {
  if (/\.xml$/i.test(file)) return 'application/xml'
  if (/\.csv$/i.test(file)) return 'text/csv'
  throw new UsageError('the name of the file ends in .xml (camt.053) or .csv')
}
