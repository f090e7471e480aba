// Produces the records behind log/partition: five codecs, timestamps out of order, one transaction
// committed and two aborted. Arguments: bootstrap address and topic (one partition). The broker has
// log.index.interval.bytes=400 and is stopped cleanly afterwards; then its partition directory is
// copied. Transaction markers carry today's time, far from the records', so the segment rolls.

import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class PartitionRecorder {
    private static final long BASE_MS = 1763600000000L;
    private static String address;
    private static String topic;

    private static KafkaProducer<byte[], byte[]> producer(String codec, String transactionalId) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        settings.put("compression.type", codec);
        settings.put("batch.size", "600");
        settings.put("linger.ms", "20");
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        if (transactionalId != null)
            settings.put("transactional.id", transactionalId);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings);
        if (transactionalId != null)
            producer.initTransactions();
        return producer;
    }

    private static ProducerRecord<byte[], byte[]> record(long timestamp, String key, String value) {
        byte[] keyBytes = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>(topic, 0, timestamp, keyBytes,
                                    value.getBytes(StandardCharsets.UTF_8));
    }

    private static void plain() throws Exception {
        Random random = new Random(7);
        int n = 0;
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
            KafkaProducer<byte[], byte[]> producer = producer(codec, null);
            for (int i = 0; i < 22; i++, n++) {
                StringBuilder value = new StringBuilder("value-" + n + "-");
                for (int word = 0; word < (i < 12 ? 3 : 1); word++)
                    value.append(Long.toHexString(random.nextLong()));
                var sent = producer.send(
                    record(BASE_MS + (n * 7919) % 5000, "k" + n, value.toString()));
                if (i < 12)
                    sent.get(); // one record a batch
            }
            producer.close();
        }
    }

    private static void transactions() throws Exception {
        KafkaProducer<byte[], byte[]> a = producer("none", "tx-a");
        KafkaProducer<byte[], byte[]> b = producer("lz4", "tx-b");
        a.beginTransaction();
        a.send(record(BASE_MS + 6000, null, "open-a")).get();
        b.beginTransaction();
        b.send(record(BASE_MS + 6001, null, "open-b")).get();
        a.abortTransaction();
        Thread.sleep(300); // markers are written behind the answer
        b.send(record(BASE_MS + 6002, null, "more-b")).get();
        b.commitTransaction();
        Thread.sleep(300);
        a.beginTransaction();
        a.send(record(BASE_MS + 6003, null, "again-a")).get();
        a.abortTransaction();
        Thread.sleep(300);
        a.close();
        b.close();
    }

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        topic = arguments[1];
        plain();
        transactions();
    }
}
