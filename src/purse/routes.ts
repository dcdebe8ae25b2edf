/** Where a transaction may draw on a purse: the matrix of transaction, purse, terminal class and merchant category in config/programme.json. */
import type { ProgrammeParameters, PurseDefinition, RoutedTransaction } from '../programmeParameters.ts'

export type RouteProblem = 'terminal_class' | 'merchant_category'

/** @returns why this place may not do this with this purse; undefined where it may */
export function routeProblem(
  { routes }: Pick<ProgrammeParameters, 'routes'>,
  transaction: RoutedTransaction,
  purse: string,
  place: { readonly class: string; readonly merchant: { readonly category: string } },
): RouteProblem | undefined {
  const route = routes.find((candidate) => candidate.transaction === transaction && candidate.purse === purse)
  if (route?.terminalClasses.includes(place.class) !== true) return 'terminal_class'
  return route.categories?.includes(place.merchant.category) === false ? 'merchant_category' : undefined
}

/** A purse of the programme by its name. @throws RangeError where there is none: a mistake of ours */
export function purseNamed({ purses }: Pick<ProgrammeParameters, 'purses'>, name: string): PurseDefinition {
  const purse = purses.find((candidate) => candidate.name === name)
  if (purse === undefined) throw new RangeError(`the programme has no purse ${name}`)
  return purse
}

/** A purse of the programme by the kind that the ledger stores. @throws RangeError where there is none: a mistake of ours */
export function purseOfKind({ purses }: Pick<ProgrammeParameters, 'purses'>, kind: number): PurseDefinition {
  const purse = purses.find((candidate) => candidate.kind === kind)
  if (purse === undefined) throw new RangeError(`the programme has no purse of kind ${String(kind)}`)
  return purse
}
