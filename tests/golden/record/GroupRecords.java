// Writes what Apache Kafka's group coordinator makes of a consumer group, for
// tests/unit/consumer/test_consumer_group_golden.c:
//   java -cp '<kafka>/libs/*' record/GroupRecords.java groups
// records.hex: "name key value" with the type in front of the key and the version in front of the
// value, "-" for a tombstone. hashes.tsv: "topic partitions racks hash", and "group hash" of all.
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.coordinator.common.runtime.*;
import org.apache.kafka.coordinator.group.*;
import org.apache.kafka.coordinator.group.generated.*;
import org.apache.kafka.coordinator.group.modern.MemberState;
import org.apache.kafka.coordinator.group.modern.consumer.*;
import org.apache.kafka.image.*;

public class GroupRecords {
    static final Uuid T = new Uuid(0x0102030405060708L, 0x1112131415161718L);
    static final Uuid U = new Uuid(0x0102030405060708L, 0x1112131415161719L);

    static Map<Uuid, Set<Integer>> partitions(Object... parts) {
        Map<Uuid, Set<Integer>> map = new LinkedHashMap<>();
        for (int i = 0; i < parts.length; i += 2) map.put((Uuid) parts[i], new TreeSet<>((List<Integer>) parts[i + 1]));
        return map;
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) text.append(String.format("%02x", b));
        return text.toString();
    }

    static void print(PrintStream out, String name, CoordinatorRecord record) {
        GroupCoordinatorRecordSerde serde = new GroupCoordinatorRecordSerde();
        byte[] value = serde.serializeValue(record);
        out.println(name + " " + hex(serde.serializeKey(record)) + " " + (value == null ? "-" : hex(value)));
    }

    static void records(PrintStream out) {
        ConsumerGroupMember dynamic = new ConsumerGroupMember.Builder("m1")
            .setMemberEpoch(3).setPreviousMemberEpoch(2).setState(MemberState.UNREVOKED_PARTITIONS)
            .setClientId("client").setClientHost("/127.0.0.1").setRebalanceTimeoutMs(45000)
            .setSubscribedTopicNames(List.of("u", "t")).setSubscribedTopicRegex("x.*")
            .setAssignedPartitions(partitions(T, List.of(0, 1, 2)))
            .setPartitionsPendingRevocation(partitions(U, List.of(7))).build();
        ConsumerGroupMember classic = new ConsumerGroupMember.Builder("m2")
            .setMemberEpoch(4).setPreviousMemberEpoch(4).setInstanceId("i").setRackId("r")
            .setClientId("client").setClientHost("/127.0.0.1").setRebalanceTimeoutMs(60000)
            .setSubscribedTopicNames(List.of("t")).setServerAssignorName("range")
            .setClassicMemberMetadata(new ConsumerGroupMemberMetadataValue.ClassicMemberMetadata()
                .setSessionTimeoutMs(10000).setSupportedProtocols(List.of(
                    new ConsumerGroupMemberMetadataValue.ClassicProtocol().setName("range").setMetadata(new byte[] {0, 1, 2}))))
            .build();
        print(out, "member", GroupCoordinatorRecordHelpers.newConsumerGroupMemberSubscriptionRecord("g", dynamic));
        print(out, "classic", GroupCoordinatorRecordHelpers.newConsumerGroupMemberSubscriptionRecord("g", classic));
        print(out, "epoch", GroupCoordinatorRecordHelpers.newConsumerGroupEpochRecord("g", 9, 0));
        print(out, "epoch-hash", GroupCoordinatorRecordHelpers.newConsumerGroupEpochRecord("g", 10, -5));
        print(out, "target", GroupCoordinatorRecordHelpers.newConsumerGroupTargetAssignmentRecord("g", "m1", partitions(T, List.of(0, 5))));
        print(out, "target-empty", GroupCoordinatorRecordHelpers.newConsumerGroupTargetAssignmentRecord("g", "m1", Map.of()));
        print(out, "target-epoch", GroupCoordinatorRecordHelpers.newConsumerGroupTargetAssignmentEpochRecord("g", 9));
        print(out, "progress", GroupCoordinatorRecordHelpers.newConsumerGroupCurrentAssignmentRecord("g", dynamic));
        print(out, "progress-empty", GroupCoordinatorRecordHelpers.newConsumerGroupCurrentAssignmentRecord("g", classic));
        print(out, "regex", GroupCoordinatorRecordHelpers.newConsumerGroupRegularExpressionRecord("g", "x.*",
            new ResolvedRegularExpression(Set.of("xa"), 77, 1234567890123L)));
        print(out, "progress-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupCurrentAssignmentTombstoneRecord("g", "m1"));
        print(out, "target-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupTargetAssignmentTombstoneRecord("g", "m1"));
        print(out, "target-epoch-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupTargetAssignmentEpochTombstoneRecord("g"));
        print(out, "member-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupMemberSubscriptionTombstoneRecord("g", "m1"));
        print(out, "regex-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupRegularExpressionTombstone("g", "x.*"));
        print(out, "partition-metadata-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupSubscriptionMetadataTombstoneRecord("g"));
        print(out, "epoch-tombstone", GroupCoordinatorRecordHelpers.newConsumerGroupEpochTombstoneRecord("g"));
    }

    // Broker b has rack "rack<b>" for odd b, "räck😀" for 2, none for others.
    static String rack(int broker) {
        return broker % 2 == 1 ? "rack" + broker : broker == 2 ? "r\u00e4ck\ud83d\ude00" : null;
    }

    static void hashes(PrintStream out) throws Exception {
        MetadataDelta delta = new MetadataDelta.Builder().setImage(MetadataImage.EMPTY).build();
        for (int b = 0; b < 6; b++)
            delta.replay(new RegisterBrokerRecord().setBrokerId(b).setRack(rack(b)).setIncarnationId(Uuid.ONE_UUID));
        String[] names = {"a", "b", "topic-with-a-long-name"};
        int[] counts = {1, 3, 70};
        for (int t = 0; t < names.length; t++) {
            Uuid id = new Uuid(0x0102030405060708L, t + 1);
            delta.replay(new TopicRecord().setName(names[t]).setTopicId(id));
            for (int p = 0; p < counts[t]; p++)
                delta.replay(new PartitionRecord().setTopicId(id).setPartitionId(p).setLeader(p % 6)
                    .setReplicas(List.of(p % 6, (p + 1) % 6, (p + 2) % 6)).setIsr(List.of(p % 6)));
        }
        CoordinatorMetadataImage image = new KRaftCoordinatorMetadataImage(delta.apply(MetadataProvenance.EMPTY));
        Map<String, Long> all = new HashMap<>();
        for (int t = 0; t < names.length; t++) {
            long hash = Utils.computeTopicHash(names[t], image);
            all.put(names[t], hash);
            out.println(names[t] + "\t" + counts[t] + "\t" + hash);
        }
        out.println("group\t0\t" + Utils.computeGroupHash(all));
    }

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        Files.createDirectories(folder);
        try (PrintStream out = new PrintStream(folder.resolve("records.hex").toFile())) { records(out); }
        try (PrintStream out = new PrintStream(folder.resolve("hashes.tsv").toFile())) { hashes(out); }
    }
}
