/** The ceremony of `sarf keys load`: custodians enter their components one after the other, and each sees that it came in right. */
import { checkComponent, checkValueOf, combineComponents } from '../security/keyComponents.ts'
import { KeyRefused, type KeyAlgorithm } from '../security/keys.ts'
import { bytesOfHex, type Questions } from './secretInput.ts'
import { UsageError } from './usageError.ts'

export interface Ceremony {
  readonly algorithm: KeyAlgorithm
  readonly bytes: number
  readonly components: number
  /** Check values of the components that are known beforehand, in order: nobody is asked about those. */
  readonly kcv: readonly string[]
  /** That the key must have. */
  readonly keyKcv?: string
  /** The key, as it is shown. */
  readonly describe: string
}

/** A slip is entered again; more of them are no slips. */
const TRIES = 3

/**
 * @returns the key, and what erases it
 * @throws KeyRefused, UsageError: everything that was entered is erased then
 */
export async function enterKey(
  ask: Questions,
  ceremony: Ceremony,
): Promise<{ readonly value: Buffer; readonly close: () => void }> {
  const { algorithm, components: count, keyKcv, kcv, describe } = ceremony
  if (kcv.length > count) throw new UsageError(`there are more --kcv than ${String(count)} components`)
  if (!ask.interactive && kcv.length < count) {
    throw new UsageError(`say --kcv for each of the ${String(count)} components: nobody is there to confirm them`)
  }
  const entered: Buffer[] = []
  try {
    while (entered.length < count) entered.push(await enterComponent(ask, ceremony, entered.length))
    const value = combineComponents(algorithm, entered)
    const close = (): void => {
      value.fill(0)
    }
    try {
      const made = checkValueOf(algorithm, value)
      if (keyKcv !== undefined && keyKcv !== made) {
        throw new KeyRefused(`the key has check value ${made}, not ${keyKcv}: nothing was stored`)
      }
      if (keyKcv === undefined && ask.interactive && !(await isRight(ask, `Key ${describe} has check value ${made}.`))) {
        throw new KeyRefused('nothing was stored')
      }
      return { value, close }
    } catch (error) {
      close()
      throw error
    }
  } finally {
    for (const component of entered) component.fill(0)
  }
}

async function enterComponent(ask: Questions, ceremony: Ceremony, index: number): Promise<Buffer> {
  const { components: count, kcv } = ceremony
  const name = `Component ${String(index + 1)} of ${String(count)}`
  for (let tries = 1; ; tries++) {
    let component: Buffer | undefined
    try {
      component = await readComponent(ask, ceremony, `${name}, in hexadecimal (it is not shown): `)
      const made = checkValueOf(ceremony.algorithm, component)
      const expected = kcv[index]
      if (expected !== undefined && expected !== made) {
        throw new KeyRefused(`component ${String(index + 1)} has check value ${made}, not ${expected}`)
      }
      if (expected === undefined && !(await isRight(ask, `${name} has check value ${made}.`))) {
        throw new KeyRefused(`component ${String(index + 1)} was not confirmed`)
      }
      return component
    } catch (error) {
      component?.fill(0)
      if (!(error instanceof KeyRefused) || !ask.interactive || tries === TRIES) throw error
      ask.say(`${error.message}. Once more.\n`)
    }
  }
}

async function readComponent(ask: Questions, { algorithm, bytes }: Ceremony, prompt: string): Promise<Buffer> {
  const line = await ask.secret(prompt)
  const component = bytesOfHex(line)
  line.fill(0)
  if (component === undefined) throw new KeyRefused('a component is pairs of hexadecimal digits')
  try {
    checkComponent(algorithm, bytes, component)
    return component
  } catch (error) {
    component.fill(0)
    throw error
  }
}

async function isRight(ask: Questions, statement: string): Promise<boolean> {
  return (await ask.answer(`${statement} Is that right? (yes/no) `)).toLowerCase() === 'yes'
}
