/** `sarf atm`: the cash in machines of a running switch over its API: show it, say what was loaded, taken out or counted. */
import { Command } from 'commander'
import { apiCommand, apiOf, lines, moreText, table, type ApiOptions } from './apiClient.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

const OFFICER = { role: 'settlement-officer' } as const
const COLUMNS = [
  ['machine', 'terminalId'],
  ['outlet', 'acceptorId'],
  ['state', 'state'],
  ['in it', 'position'],
  ['counted', 'counted'],
  ['differed', 'difference'],
  ['at', 'countedAt'],
] as const
const COUNTED = [...COLUMNS, ['item', 'itemId']] as const

interface LoadOptions extends ApiOptions {
  readonly amount: string
  readonly reference: string
  readonly out?: true
  readonly day?: string
  readonly note?: string
}
interface CountOptions extends ApiOptions {
  readonly counted: string
  readonly reference: string
  readonly note?: string
}

/** Exit codes: see `apiCommand`. */
export function atmCommand(): Command {
  const command = new Command('atm').description('The cash in machines, over the API of a running switch.')
  apiCommand(command, 'list', 'Show what the ledger says is in each machine.', async (_, options) => {
    const api = await apiOf(options, OFFICER)
    const machines = await api.get('/v1/atms?limit=200')
    return { answer: machines, text: table(itemsOf(machines), COLUMNS) + moreText(machines) }
  })

  apiCommand(command, 'show <terminalId>', 'Show what is in one, and its last count.', async (terminalId, options) => {
    const api = await apiOf(options, OFFICER)
    const machine = await api.get(pathOf(terminalId))
    return { answer: machine, text: lines(machine, COLUMNS) }
  })

  apiCommand<LoadOptions>(
    command,
    'load <terminalId>',
    'Cash was put into a machine; with --out it was taken out of it.',
    async (terminalId, options) => {
      const { amount, reference, out, day, note } = options
      const given = { amount, reference, direction: out === true ? 'out' : undefined, day, note }
      const api = await apiOf(options, OFFICER)
      const machine = await api.post(`${pathOf(terminalId)}/loads`, given)
      return { answer: machine, text: lines(machine, COLUMNS) }
    },
  )
    .requiredOption('--amount <pounds>', 'how much')
    .requiredOption('--reference <reference>', 'number of the paper, once a machine')
    .option('--out', 'it was taken out')
    .option('--day <day>', 'the business day that it is of (YYYY-MM-DD)')
    .option('--note <text>', 'a note')
    .option('--key <key>', 'Idempotency-Key (default: a new one): the same again repeats it')

  apiCommand<CountOptions>(
    command,
    'count <terminalId>',
    'The cash in a machine was counted, while it was out of service; what differs from the ledger goes to suspense.',
    async (terminalId, options) => {
      const { counted, reference, note } = options
      const api = await apiOf(options, OFFICER)
      const machine = await api.post(`${pathOf(terminalId)}/counts`, { counted, reference, note })
      return { answer: machine, text: lines(machine, COUNTED) }
    },
  )
    .requiredOption('--counted <pounds>', 'what was in it')
    .requiredOption('--reference <reference>', 'number of the paper, once a machine')
    .option('--note <text>', 'a note')
    .option('--key <key>', 'Idempotency-Key (default: a new one): the same again repeats it')
  return command
}

function pathOf(terminalId: string): string {
  if (!/^[A-Za-z0-9._-]{1,8}$/.test(terminalId)) throw new UsageError('a machine is named by its DE 41: up to 8 characters')
  return `/v1/atms/${terminalId}`
}
