/**
 * Validators and serialisers that are compiled when they are first used. A switch compiles all of them as it starts, so that no caller waits
 * for it and a schema that is wrong is found at once; where a switch lives for seconds and few of them are used, that is most of its start.
 */
import { AjvCompiler, type BuildCompilerFromPool } from '@fastify/ajv-compiler'
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { FastifyServerOptions } from 'fastify'

type Compile = ReturnType<BuildCompilerFromPool>

export function lazySchemas(): NonNullable<FastifyServerOptions['schemaController']> {
  const buildValidator = AjvCompiler()
  const buildSerializer = SerializerSelector()
  return {
    compilersFactory: {
      buildValidator(...schemas: Parameters<BuildCompilerFromPool>) {
        const compile = buildValidator(...schemas)
        return ((route: Parameters<Compile>[0]) => {
          let validate: ReturnType<Compile> | undefined
          return (data: unknown) => {
            validate ??= compile(route)
            // Fastify would look for the errors on the function that it called.
            return validate(data) === false ? { error: validate.errors } : true
          }
        }) as unknown as Compile
      },
      buildSerializer(schemas, options) {
        const compile = buildSerializer(schemas, options)
        return (route) => {
          let serialise: ReturnType<typeof compile> | undefined
          return (document) => (serialise ??= compile(route))(document)
        }
      },
    },
  }
}
