/*
 * Records golden batches with Apache Kafka's own classes: every codec, shape and control type, and what
 * its produce validation does with batches under different topic settings.
 *
 *   java -cp '<kafka>/libs/*' RecordBatches.java <directory of the two files>
 *
 * batches.tsv     name, batch in hex, number of records, CRC-32C of the canonical text of the records
 * validation.tsv  name, batch in hex, rules, error code, indexes of refused records, attributes, base
 *                 timestamp, max timestamp, number of records, CRC-32C of their canonical text
 *
 * The canonical text of a record is "offset,timestamp,key,value,header=value,...;" with bytes in hex and
 * "-" for null.
 */
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.zip.CRC32C;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.DefaultRecordBatch;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

public class RecordBatches {
    static final long NOW = 1_700_000_000_000L;
    static final byte MAGIC = RecordBatch.MAGIC_VALUE_V2;

    static Compression codec(CompressionType type) {
        return Compression.of(type).build();
    }

    static String hex(ByteBuffer bytes) {
        if (bytes == null)
            return "-";
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HexFormat.of().formatHex(copy);
    }

    static String canonical(Record record) {
        StringBuilder text = new StringBuilder();
        text.append(record.offset()).append(',').append(record.timestamp()).append(',');
        text.append(record.hasKey() ? hex(record.key()) : "-").append(',');
        text.append(record.hasValue() ? hex(record.value()) : "-");
        for (Header header : record.headers()) {
            text.append(',').append(hex(ByteBuffer.wrap(header.key().getBytes(StandardCharsets.UTF_8))));
            text.append('=').append(header.value() == null ? "-" : hex(ByteBuffer.wrap(header.value())));
        }
        return text.append(';').toString();
    }

    /* Number of records and the checksum of their text. */
    static String summary(RecordBatch batch) {
        CRC32C crc = new CRC32C();
        long count = 0;
        for (Record record : batch) {
            crc.update(canonical(record).getBytes(StandardCharsets.UTF_8));
            count++;
        }
        return count + "\t" + crc.getValue();
    }

    record Row(long offset, long timestamp, byte[] key, byte[] value, Header... headers) {
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static List<Row> small(long base) {
        return List.of(
            new Row(base, NOW, bytes("key"), bytes("value")),
            new Row(base + 1, NOW - 5, null, bytes("no key"), new RecordHeader("trace", bytes("1")),
                    new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null)),
            new Row(base + 2, NOW + 70000, bytes("tombstone"), null),
            new Row(base + 3, NOW + 1, new byte[0], new byte[0], new RecordHeader("", bytes("\u00e4"))));
    }

    static List<Row> keyed(long base) {
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < 3; i++)
            rows.add(new Row(base + i, NOW - 10 + i, bytes("k" + i), bytes("v" + i)));
        return rows;
    }

    /* More than two blocks of any codec, with a part that does not compress. */
    static List<Row> large() {
        List<Row> rows = new ArrayList<>();
        Random random = new Random(1);
        for (int i = 0; i < 40; i++) {
            byte[] value = bytes("the same words over and over; ".repeat(150));
            if (i == 20) {
                value = new byte[2500];
                random.nextBytes(value);
            }
            rows.add(new Row(i, NOW + i * 1000L, bytes("key-" + i), value));
        }
        return rows;
    }

    record Shape(TimestampType type, long baseOffset, long appendTime, long producerId, short producerEpoch,
                 int baseSequence, boolean transactional, boolean control, int leaderEpoch, long deleteHorizon) {
        static Shape plain(long baseOffset) {
            return new Shape(TimestampType.CREATE_TIME, baseOffset, -1, -1, (short) -1, -1, false, false, -1, -1);
        }
    }

    static MemoryRecords build(Compression compression, Shape shape, List<Row> rows) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(
            new org.apache.kafka.common.utils.ByteBufferOutputStream(buffer), MAGIC, compression, shape.type,
            shape.baseOffset, shape.appendTime, shape.producerId, shape.producerEpoch, shape.baseSequence,
            shape.transactional, shape.control, shape.leaderEpoch, buffer.capacity(), shape.deleteHorizon);
        for (Row row : rows)
            builder.appendWithOffset(row.offset, row.timestamp, row.key, row.value, row.headers);
        return builder.build();
    }

    static void batch(PrintStream out, String name, MemoryRecords records) {
        for (MutableRecordBatch batch : records.batches())
            out.println(name + "\t" + hex(records.buffer()) + "\t" + summary(batch));
    }

    static void recordBatches(PrintStream out) {
        for (CompressionType type : CompressionType.values()) {
            String name = type.name;
            Compression compression = codec(type);
            batch(out, name + "-small", build(compression, Shape.plain(1234567890123L), small(1234567890123L)));
            batch(out, name + "-append-time",
                  build(compression, new Shape(TimestampType.LOG_APPEND_TIME, 7, NOW + 99, -1, (short) -1, -1, false,
                                               false, 3, -1), small(7)));
            batch(out, name + "-transactional",
                  build(compression, new Shape(TimestampType.CREATE_TIME, 0, -1, 4001, (short) 12, 2147483646, true,
                                               false, 5, -1), keyed(0)));
            if (type != CompressionType.NONE)
                batch(out, name + "-large", build(compression, Shape.plain(0), large()));
        }
        batch(out, "gaps", build(Compression.NONE, Shape.plain(100),
                                 List.of(new Row(103, NOW, null, bytes("a")), new Row(170, NOW, null, bytes("b")))));
        batch(out, "no-timestamps", build(Compression.NONE, Shape.plain(0),
                                          List.of(new Row(0, -1, null, bytes("a")), new Row(1, -1, null, bytes("b")))));
        batch(out, "delete-horizon",
              build(Compression.NONE, new Shape(TimestampType.CREATE_TIME, 0, -1, -1, (short) -1, -1, false, false, 1,
                                                NOW + 5), keyed(0)));
        ByteBuffer empty = ByteBuffer.allocate(61);
        DefaultRecordBatch.writeEmptyHeader(empty, MAGIC, 77, (short) 3, 9, 50, 55, 2, TimestampType.CREATE_TIME, NOW,
                                            false, false);
        empty.flip();
        batch(out, "empty", MemoryRecords.readableRecords(empty));
        batch(out, "marker-commit", MemoryRecords.withEndTransactionMarker(0, NOW, -1, 4001, (short) 12,
                  new EndTransactionMarker(ControlRecordType.COMMIT, 17)));
        batch(out, "marker-abort", MemoryRecords.withEndTransactionMarker(0, NOW, -1, 9000000000L, (short) 0,
                  new EndTransactionMarker(ControlRecordType.ABORT, 0)));
        batch(out, "leader-change", MemoryRecords.withLeaderChangeMessage(5, NOW, 4, ByteBuffer.allocate(512),
                  new LeaderChangeMessage().setLeaderId(1).setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1)))));
        batch(out, "snapshot-header", MemoryRecords.withSnapshotHeaderRecord(0, NOW, 4, ByteBuffer.allocate(512),
                  new SnapshotHeaderRecord().setLastContainedLogTimestamp(NOW)));
        batch(out, "snapshot-footer", MemoryRecords.withSnapshotFooterRecord(9, NOW, 4, ByteBuffer.allocate(512),
                  new SnapshotFooterRecord()));
        batch(out, "kraft-version", MemoryRecords.withKRaftVersionRecord(1, NOW, 4, ByteBuffer.allocate(512),
                  new KRaftVersionRecord().setKRaftVersion((short) 1)));
        batch(out, "kraft-voters", MemoryRecords.withVotersRecord(2, NOW, 4, ByteBuffer.allocate(512),
                  new VotersRecord().setVoters(List.of(new VotersRecord.Voter().setVoterId(1)))));
    }

    static final Time FIXED = new Time() {
        public long milliseconds() {
            return NOW;
        }

        public long nanoseconds() {
            return NOW * 1000000;
        }

        public void sleep(long ms) {
        }

        public void waitObject(Object object, Supplier<Boolean> condition, long deadline) {
        }
    };

    static final LogValidator.MetricsRecorder METRICS = new LogValidator.MetricsRecorder() {
        public void recordInvalidMagic() {
        }

        public void recordInvalidOffset() {
        }

        public void recordInvalidSequence() {
        }

        public void recordInvalidChecksums() {
        }

        public void recordNoKeyCompactedTopic() {
        }
    };

    record Rules(boolean compacted, TimestampType type, long before, long after, String target) {
        public String toString() {
            return (compacted ? "compacted" : "plain") + "," + (type == TimestampType.LOG_APPEND_TIME ? "append" : "create")
                + "," + before + "," + after + "," + target;
        }
    }

    static void validate(PrintStream out, String name, MemoryRecords input, Rules rules) {
        String inputHex = hex(input.buffer());
        RecordBatch first = input.batches().iterator().next();
        CompressionType source = first.compressionType();
        Compression target = codec(rules.target.equals("producer") ? source : CompressionType.forName(rules.target));
        int error = 0;
        String refused = "";
        String rest;
        try {
            LogValidator validator = new LogValidator(input, new TopicPartition("t", 0), FIXED, source, target,
                rules.compacted, MAGIC, rules.type, rules.before, rules.after, -1, AppendOrigin.CLIENT);
            MemoryRecords output = validator.validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(0), METRICS,
                BufferSupplier.NO_CACHING).validatedRecords();
            RecordBatch batch = output.batches().iterator().next();
            ByteBuffer bytes = output.buffer();
            rest = bytes.getShort(bytes.position() + 21) + "\t" + bytes.getLong(bytes.position() + 27) + "\t"
                + bytes.getLong(bytes.position() + 35) + "\t" + summary(batch);
        } catch (RecordValidationException refusal) {
            error = Errors.forException(refusal.invalidException()).code();
            for (ProduceResponse.RecordError record : refusal.recordErrors())
                refused += (refused.isEmpty() ? "" : ",") + record.batchIndex;
            rest = "0\t0\t0\t0\t0";
        } catch (Exception refusal) {
            error = Errors.forException(refusal).code();
            rest = "0\t0\t0\t0\t0";
        }
        out.println(name + "\t" + inputHex + "\t" + rules + "\t" + error + "\t" + (refused.isEmpty() ? "-" : refused)
                    + "\t" + rest);
    }

    /* Changes one field of a finished batch and mends its checksum. */
    static MemoryRecords patched(MemoryRecords records, int place, int size, long value) {
        ByteBuffer bytes = ByteBuffer.allocate(records.sizeInBytes());
        bytes.put(records.buffer().duplicate()).flip();
        for (int i = 0; i < size; i++)
            bytes.put(place + i, (byte) (value >> 8 * (size - 1 - i)));
        CRC32C crc = new CRC32C();
        crc.update(bytes.duplicate().position(21));
        bytes.putInt(17, (int) crc.getValue());
        return MemoryRecords.readableRecords(bytes);
    }

    static void recordValidation(PrintStream out) {
        TimestampType create = TimestampType.CREATE_TIME;
        TimestampType append = TimestampType.LOG_APPEND_TIME;
        long max = Long.MAX_VALUE;
        Rules[] all = {
            new Rules(false, create, max, 3600000, "producer"), new Rules(true, create, max, 3600000, "producer"),
            new Rules(false, create, 7, 3600000, "producer"),   new Rules(false, create, max, 60000, "producer"),
            new Rules(false, append, max, 3600000, "producer"), new Rules(true, append, 0, 0, "producer"),
            new Rules(false, create, max, 3600000, "zstd"),     new Rules(false, append, max, 3600000, "lz4"),
            new Rules(true, create, max, max, "none"),
            new Rules(false, create, max, max, "gzip"),         new Rules(false, create, max, max, "snappy"),
        };
        Shape producer = new Shape(create, 0, -1, 4001, (short) 12, 0, true, false, -1, -1);
        for (CompressionType type : new CompressionType[] {CompressionType.NONE, CompressionType.GZIP, CompressionType.LZ4}) {
            for (Rules rules : all) {
                validate(out, type.name + "-small", build(codec(type), Shape.plain(0), small(0)), rules);
                validate(out, type.name + "-keyed", build(codec(type), producer, keyed(0)), rules);
            }
            Rules createRules = all[0];
            Rules appendRules = all[4];
            MemoryRecords keyed = build(codec(type), producer, keyed(0));
            for (Rules rules : new Rules[] {createRules, appendRules}) {
                String name = type.name + "-";
                validate(out, name + "append-bit", patched(keyed, 21, 2, type.id | 0x18), rules);
                validate(out, name + "append-bit-no-time",
                         patched(patched(keyed, 21, 2, type.id | 0x18), 35, 8, -1), rules);
                validate(out, name + "wrong-max-timestamp", patched(keyed, 35, 8, NOW - 500), rules);
                validate(out, name + "base-timestamp-moved", patched(keyed, 27, 8, NOW - 10000), rules);
                validate(out, name + "control", patched(keyed, 21, 2, type.id | 0x30), rules);
                validate(out, name + "no-sequence", patched(keyed, 53, 4, -1), rules);
                validate(out, name + "no-records", patched(keyed, 57, 4, 0), rules);
                validate(out, name + "negative-count", patched(keyed, 57, 4, -1), rules);
                validate(out, name + "count-too-low", patched(patched(keyed, 57, 4, 2), 23, 4, 1), rules);
                validate(out, name + "count-too-high", patched(patched(keyed, 57, 4, 4), 23, 4, 3), rules);
                validate(out, name + "delta-mismatch", patched(keyed, 23, 4, 7), rules);
                validate(out, name + "negative-delta", patched(keyed, 23, 4, -2), rules);
            }
            validate(out, type.name + "-no-timestamps",
                     build(codec(type), Shape.plain(0), List.of(new Row(0, -1, bytes("k"), null))), createRules);
            validate(out, type.name + "-record-cut", patched(keyed, keyed.sizeInBytes() - 3, 1, 0x7f), createRules);
        }
        List<Row> gaps = List.of(new Row(0, NOW, null, bytes("a")), new Row(2, NOW + 1, null, bytes("b")));
        validate(out, "gzip-inner-gap", patched(build(codec(CompressionType.GZIP), Shape.plain(0), gaps), 23, 4, 1), all[6]);
        validate(out, "gzip-inner-gap-append", patched(build(codec(CompressionType.GZIP), Shape.plain(0), gaps), 23, 4, 1),
                 all[7]);
    }

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        try (PrintStream out = new PrintStream(Files.newOutputStream(directory.resolve("batches.tsv")))) {
            recordBatches(out);
        }
        try (PrintStream out = new PrintStream(Files.newOutputStream(directory.resolve("validation.tsv")))) {
            recordValidation(out);
        }
    }
}
