// The services a cluster stands on, as tests find them: named by the environment, else started here.

export interface RunningService {
  readonly url: string;
  /** Of its process. */
  readonly pid: number;
  stop(): Promise<void>;
}

export const SERVICES = {
  redis: { variable: "REDIS_URL", needs: "redis-server" },
  kafka: { variable: "KAFKA_BROKERS", needs: "Java and Maven" },
  mongo: { variable: "MONGODB_URL", needs: "Java and Maven" },
} as const;

export type Service = keyof typeof SERVICES;
