/** `sarf books`: trial balance, general ledger and statements of accounts, over the API of a running switch. */
import { Command } from 'commander'
import { apiCommand, apiOf, lines, table, type Answer, type ApiOptions } from './apiClient.ts'
import { UsageError } from './usageError.ts'

const OFFICER = { role: 'settlement-officer' } as const

/** Exit codes: see `apiCommand`. */
export function booksCommand(): Command {
  const command = new Command('books').description('The books, over the API of a running switch.')
  apiCommand<AsOfOptions>(
    command,
    'balance',
    'The trial balance of a business day, or before an instant.',
    async (_, { day, at, ...options }) => {
      if ((day === undefined) === (at === undefined)) throw new UsageError('say as of when: --day DAY or --at INSTANT')
      const api = await apiOf(options, OFFICER)
      const query = new URLSearchParams(day === undefined ? { at: at ?? '' } : { day })
      const answer = await api.get(`/v1/books/trial-balance?${query.toString()}`)
      return {
        answer,
        text: [lines(answer, AS_OF), table(rowsOf(answer, 'accounts'), ACCOUNTS), table(rowsOf(answer, 'totals'), TOTALS)].join(
          '\n',
        ),
      }
    },
  )
    .option('--day <day>', 'the end of a business day')
    .option('--at <instant>', 'before an instant, 2026-11-27T12:00:00Z')

  apiCommand<FileOptions>(
    command,
    'ledger <day>',
    'Every transfer of a business day, as CSV into a file.',
    async (day, options) => {
      const api = await apiOf(options, OFFICER)
      return saved(options.out, await api.save(`/v1/books/general-ledger/${dayOf(day)}`, options.out))
    },
  ).requiredOption('--out <file>', 'where it is written to')

  apiCommand<StatementOptions>(
    command,
    'statement <account>',
    'What has moved an account, as CSV into a file. An account is its code, with a colon and the number of its merchant or machine: 2210:42.',
    async (account, options) => {
      const [, code, owner = '0'] = /^(\d{4})(?::(\d{1,15}))?$/.exec(account) ?? []
      if (code === undefined) throw new UsageError('an account is a code of four digits, and perhaps an owner: 1000, 2210:42')
      const api = await apiOf(options, OFFICER)
      const { from, to, unit, out } = options
      const query = new URLSearchParams({ from: dayOf(from), to: dayOf(to ?? from), unit })
      return saved(out, await api.save(`/v1/books/accounts/${code}/${owner}/statement?${query.toString()}`, out))
    },
  )
    .requiredOption('--from <day>', 'the first business day')
    .option('--to <day>', 'the last business day (default: the first)')
    .option('--unit <name>', 'of an account that has several', 'EGP')
    .requiredOption('--out <file>', 'where it is written to')
  return command
}

interface AsOfOptions extends ApiOptions {
  readonly day?: string
  readonly at?: string
}
interface FileOptions extends ApiOptions {
  readonly out: string
}
interface StatementOptions extends FileOptions {
  readonly from: string
  readonly to?: string
  readonly unit: string
}

const AS_OF = [
  ['as of', 'asOf'],
  ['event number', 'until'],
] as const
const ACCOUNTS = [
  ['account', 'code'],
  ['unit', 'unit'],
  ['debit', 'debit'],
  ['credit', 'credit'],
] as const
const TOTALS = [['unit', 'unit'], ...ACCOUNTS.slice(2)] as const

function rowsOf(answer: Answer, member: string): readonly Answer[] {
  return Array.isArray(answer[member]) ? (answer[member] as Answer[]) : []
}

function saved(file: string, bytes: number): { answer: Answer; text: string } {
  return { answer: { file, bytes }, text: `${file}: ${String(bytes)} bytes\n` }
}

function dayOf(value: string): string {
  if (!/^20\d\d-\d\d-\d\d$/.test(value)) throw new UsageError('a business day is a date, such as 2026-11-27')
  return value
}
