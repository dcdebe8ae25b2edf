/** `sarf routes`: which purse pays for what, and where: the routing matrix of config/programme.json on a day. */
import { Command, InvalidArgumentError } from 'commander'
import { cairoDay } from '../clock.ts'
import { ConfigError, type Config } from '../config.ts'
import { parametersOn, type AccountTypes, type PurseDefinition, type Route } from '../programmeParameters.ts'
import { offlineConfig } from './offlineConfig.ts'

/** Exit codes: 0 printed, 1 the configuration is wrong, 2 the command was used wrongly. */
export function routesCommand(): Command {
  const command = new Command('routes')
    .description('Show which purse each account type of DE 3 means, and where a transaction may draw on it.')
    .option('--day <date>', 'on this Cairo day (default: today)', day)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExit codes: 0 printed, 1 the configuration is wrong (one line says where), 2 wrong usage.')
  command.action((options: RoutesOptions) => {
    const output = command.configureOutput()
    try {
      const matrix = matrixOn(offlineConfig(), options.day ?? cairoDay(Date.now()))
      output.writeOut?.(options.json === true ? `${JSON.stringify(matrix)}\n` : matrixText(matrix))
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      // Not by command.error: commander's own errors carry this code too, and mean wrong usage.
      output.writeErr?.(`error: ${error.message}\n`)
      process.exitCode = EXIT_WRONG
    }
  })
  return command
}

const EXIT_WRONG = 1

interface RoutesOptions {
  readonly day?: string
  readonly json?: true
}

interface Matrix {
  readonly day: string
  /** First day of the rules that hold then. */
  readonly validFrom: string
  readonly accountTypes: {
    readonly programme: AccountTypes
    /** By link: what it understands otherwise. */
    readonly links: Readonly<Record<string, AccountTypes>>
  }
  readonly purses: readonly { readonly name: string; readonly unit: string; readonly owner: string }[]
  readonly routes: readonly Route[]
}

function matrixOn({ programme, links }: Config, on: string): Matrix {
  const { validFrom, routes } = parametersOn(programme, on)
  const different = links.flatMap(({ name, accountTypes }): [string, AccountTypes][] =>
    accountTypes === undefined ? [] : [[name, accountTypes]],
  )
  return {
    day: on,
    validFrom,
    accountTypes: { programme: programme.accountTypes, links: Object.fromEntries(different) },
    purses: programme.purses.map(({ name, unit, owner }: PurseDefinition) => ({ name, unit: unit.name, owner })),
    routes,
  }
}

function matrixText({ day: on, validFrom, accountTypes, purses, routes }: Matrix): string {
  const typesOf = (types: AccountTypes): string[][] =>
    Object.entries(types)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([type, name]) => {
        const purse = purses.find((candidate) => candidate.name === name)
        return [type, name, purse === undefined ? 'cover of a person' : `${purse.unit} of a ${purse.owner}`]
      })
  const differences = Object.entries(accountTypes.links).flatMap(([link, types]) => [
    '',
    `otherwise on link ${link}`,
    ...table(typesOf(types)),
  ])
  return [
    `on ${on}: rules from ${validFrom}`,
    '',
    ...table([['account type', 'purse', 'counted in'], ...typesOf(accountTypes.programme)]),
    ...differences,
    '',
    ...table([
      ['transaction', 'purse', 'terminal classes', 'merchant categories'],
      ...routes.map(({ transaction, purse, terminalClasses, categories }) => [
        transaction,
        purse,
        terminalClasses.join(', '),
        categories?.join(', ') ?? 'any',
      ]),
    ]),
    '',
  ].join('\n')
}

/** Lines with columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}

function day(value: string): string {
  const isDay =
    /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString().startsWith(value)
  if (!isDay) throw new InvalidArgumentError('A day is written as 2026-12-05.')
  return value
}
