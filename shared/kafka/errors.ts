/** Kafka, or what is in it, cannot be used by this program as it is: one clear line says why. */
export class UnusableKafka extends Error {
  readonly code = "unusable_kafka";
}

/** No broker answers. It is tried again: that may be over soon. */
export class KafkaAway extends Error {
  readonly code = "kafka_away";
}

/** Kafka took longer than we wait. What was asked for may still have happened. */
export class KafkaTimeout extends Error {
  readonly code = "kafka_timeout";
}
